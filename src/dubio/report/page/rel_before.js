// Before and after calibration: where it helps, and where it makes things worse.

const CHANGED = 0.002; // as in the sentences: a smaller change of the calibration error nobody would act on
const BEFORE_AFTER = ["ece", "adaptive_ece", "classwise_ece", "mce", "rmsce", "ks", "nll", "brier", "accuracy", "mean_iou", "prr"];

const baseOf = (model) => MODELS.find((m) => m.name === model.of);
const variants = () => shownModels().filter((m) => m.of && baseOf(m));

function way(m, old, now) {
  if (old === null || now === null || Math.abs(now - old) < CHANGED || !m.cost) return "same";
  return m.cost(now) < m.cost(old) ? "better" : "worse";
}

const pairs = (m, model, domains) => domains
  .map((d) => [m.of(cellOf(baseOf(model), d)), m.of(cellOf(model, d)), d]).filter(([old, now]) => old !== null && now !== null);
const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

function changeWords(m, rows) {
  if (!rows.length) return h("span", { class: "none", "data-tip": "nothing to compare", tabindex: "0" }, "–");
  const [old, now] = [mean(rows.map((r) => r[0])), mean(rows.map((r) => r[1]))];
  const ratio = old > 0 ? `${asRate(now / old)}\u00a0×` : "";
  return [h("span", { class: "value" }, `${m.show(old)} → ${m.show(now)} `), h("small", { class: way(m, old, now) }, ratio)];
}

function overall(m) {
  const shifted = ownDomains().filter((d) => !d.source);
  const own = SOURCE ? [SOURCE] : [];
  return h("table", { class: "figures-table overall" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Method"), h("th", { scope: "col" }, SOURCE ? ["In ", h("bdi", {}, SOURCE.short)] : "In the source"),
      h("th", { scope: "col", "data-tip": "Mean of the other domains, each counting alike." }, "Under shift, mean"), h("th", { scope: "col" }, "Worse in"))),
    h("tbody", {}, variants().map((model) => {
      const rows = pairs(m, model, ownDomains());
      const worse = rows.filter(([old, now]) => way(m, old, now) === "worse").map((r) => r[2].short);
      return h("tr", {}, h("th", { scope: "row" }, modelName(model)), h("td", {}, changeWords(m, pairs(m, model, own))), h("td", {}, changeWords(m, pairs(m, model, shifted))),
        h("td", { "data-tip": worse.join(", ") || null, tabindex: worse.length ? "0" : null }, `${worse.length} of ${plural(rows.length, "domain")}`));
    })));
}

function dumbbell(m, model, domain, low, high) {
  const [old, now] = [m.of(cellOf(baseOf(model), domain)), m.of(cellOf(model, domain))];
  const x = (v) => `${(100 * (v - low)) / (high - low || 1)}%`;
  if (old === null || now === null) {
    return h("div", { class: "dumbbell" }, h("span", { class: "dumbbell-name" }, modelName(model)), h("span"),
      h("span", { class: "dumbbell-value" }, valueOf(m, cellOf(model, domain))));
  }
  const direction = way(m, old, now);
  return h("div", { class: "dumbbell" }, h("span", { class: "dumbbell-name" }, modelName(model)),
    h("span", { class: "rail", role: "img", "aria-label": `${m.name} of ${model.name}: ${m.show(old)} before, ${m.show(now)} after, ${direction}` },
      h("i", { class: "rail-span", style: { left: x(Math.min(old, now)), width: `calc(${x(Math.max(old, now))} - ${x(Math.min(old, now))})`, "--hue": model.hue } }),
      h("i", { class: "gauge-dot ring", style: { left: x(old), "--hue": "var(--before)" } }), h("i", { class: "gauge-dot lead", style: { left: x(now), "--hue": model.hue } })),
    h("span", { class: `dumbbell-value ${direction}` }, `${m.show(old)} → ${m.show(now)}`, h("small", {}, direction === "same" ? "same" : `${direction === "worse" ? "▲" : "▼"} ${direction}`)));
}

function showSentences(body) {
  const sentences = DATA.guarantees || [];
  const fitted = sentences.filter((s) => s.startsWith("fitted on "));
  const said = sentences.filter((s) => !fitted.includes(s));
  body.append(said.length ? h("ul", { class: "said" }, said.map((s) => h("li", { class: s.includes("worse in ") ? "warning" : "" }, s))) : "",
    fitted.length ? h("details", {}, h("summary", {}, `Fitted on ${plural(fitted.length, "set of images", "sets of images")}, none of which is judged here`),
      h("ul", { class: "muted" }, fitted.map((s) => h("li", {}, s.slice(10))))) : "");
}

function showBefore() {
  if (!CALIBRATE) return;
  const body = section("before");
  showSentences(body);
  const ids = BEFORE_AFTER.filter((id) => present(METRIC[id]));
  if (!MODELS.some((m) => baseOf(m)) || !ids.length) return;
  let chosen = METRIC[ids[0]];
  const table = h("div"), chart = h("div", { class: "dumbbells" }), axis = h("p", { class: "muted" });
  const fold = folded(9);
  const draw = () => {
    const values = DATA.cells.map((cell) => chosen.of(cell)).filter((v) => v !== null);
    const high = Math.max(...values), low = chosen.good === "low" ? Math.min(0, ...values) : Math.min(...values);
    table.replaceChildren(frame(`${chosen.name} before and after`, overall(chosen)));
    axis.textContent = `${chosen.name} from ${chosen.show(low)} to ${chosen.show(high)}; ring: before, dot: after. ${WAYS[chosen.good]}`;
    const rows = fold.take([...ownDomains().filter((d) => d.source), ...worstFirst(ownDomains().filter((d) => !d.source), MODELS[0])]);
    chart.replaceChildren(...rows.map((d) => h("div", { class: "dumbbell-group" }, h("div", { class: "dumbbell-domain" }, domainName(d)),
      h("div", {}, variants().map((model) => dumbbell(chosen, model, d, low, high))))));
  };
  fold.bind(draw);
  body.append(h("div", { class: "controls left" }, metricPicker("Figure", ids, chosen.id, (id) => { chosen = METRIC[id]; draw(); }, "before-metric")), table, axis, chart, fold.button);
  always(draw);
}
