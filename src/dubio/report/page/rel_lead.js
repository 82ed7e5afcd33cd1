// What to expect in each domain, worst first: the ten seconds.

const NEAR_ENOUGH = 0.03;

function verdict(level, right) {
  if (Math.abs(right - level) <= NEAR_ENOUGH) return ["holds", `within ${NEAR_ENOUGH} of what is stated`];
  return right < level ? ["too sure", "right less often than stated"] : ["too careful", "right more often than stated"];
}

function gauge(m, level, domain, low) {
  const x = (v) => `${(100 * (clamp(v, low, 1) - low)) / (1 - low)}%`;
  const rows = shownModels().map((model) => [model, m.of(cellOf(model, domain))]).filter(([, v]) => v !== null);
  const lead = rows.find(([model]) => model === view.lead);
  const ends = lead ? [Math.min(lead[1], level), Math.max(lead[1], level)] : null;
  const words = rows.map(([model, v]) => `${model.name} ${m.show(v)}`).join("\n");
  return h("div", { class: "gauge", role: "img", "aria-label": `A stated ${level} is right: ${words.replaceAll("\n", ", ") || "undefined"}`,
    "data-tip": words ? `A stated ${level} is right:\n${words}` : null },
  h("i", { class: "gauge-mark", style: { left: x(level) } }),
  ends ? h("i", { class: "gauge-gap", style: { left: x(ends[0]), width: `calc(${x(ends[1])} - ${x(ends[0])})`, "--hue": view.lead.hue } }) : null,
  rows.map(([model, v]) => h("i", { class: `gauge-dot${model === view.lead ? " lead" : ""}${model.before ? " ring" : ""}`, style: { left: x(v), "--hue": model.hue } })));
}

function leadRow(domain, m, level, low) {
  const cell = cellOf(view.lead, domain);
  const right = m.of(cell);
  const [word, why] = right === null ? [null, null] : verdict(level, right);
  return h("li", { class: "lead-row" },
    h("div", { class: "lead-domain" }, domainName(domain)),
    gauge(m, level, domain, low),
    h("div", { class: "lead-value" }, valueOf(m, cell), word ? h("span", { class: `tag ${word.replace(" ", "-")}`, "data-tip": why }, word) : null),
    h("p", { class: "lead-words" }, cell?.sentence || (cell ? "Nothing could be judged here." : "Not examined with this model.")));
}

function showLead() {
  if (!DATA.cells.length || !LEVELS.length) return;
  const body = section("lead");
  let level = LEVELS.includes("0.9") ? "0.9" : LEVELS[0];
  const title = h("h2", { id: "lead-title" });
  const list = h("ol", { class: "lead-rows" });
  const axis = h("div", { class: "lead-axis", "aria-hidden": "true" });
  const fold = folded(8);
  const draw = () => {
    const m = METRIC[`stated_${level}`];
    const values = DATA.cells.map((cell) => m.of(cell)).filter((v) => v !== null);
    const low = Math.max(0, Math.floor(10 * Math.min(Number(level) - 0.25, ...values) - 0.2) / 10);
    const at = (v) => ({ left: `${(100 * (v - low)) / (1 - low)}%` });
    const near = Number(level) > 0.93;
    title.textContent = `What a stated ${level} is worth`;
    axis.replaceChildren(h("span"), h("div", { class: "lead-scale" },
      h("span", { style: at(low) }, low.toFixed(1)), h("b", { style: at(Number(level)) }, level), near ? null : h("span", { style: at(1) }, "1")), h("span"), h("span"));
    list.replaceChildren(...fold.take(worstFirst(ownDomains(), view.lead)).map((d) => leadRow(d, m, Number(level), low)));
  };
  fold.bind(draw);
  body.append(h("div", { class: "section-head" }, title,
    h("div", { class: "controls" },
      segments("Stated confidence", LEVELS.map((v) => [v, v, `Look at the pixels whose stated confidence is about ${v}.`]), level, (v) => { level = v; draw(); }),
      modelPicker("Sentences about", view.lead, (lead) => change({ lead }), "lead-model"))),
  h("p", { class: "muted" }, "Share that is right among the pixels of this confidence. The tick is what is stated; left of it the model is too sure, right of it too careful. Worst domain first, by calibration error."),
  axis, list, fold.button);
  always(draw);
}
