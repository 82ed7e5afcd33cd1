// Corruptions: kinds down, severities across, a table per model; or models across, where each kind has one severity.

const FAMILIES = [
  ["noise", ["gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise"]],
  ["blur", ["defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "gaussian_blur"]],
  ["weather", ["snow", "frost", "fog", "brightness", "spatter"]],
  ["digital", ["contrast", "elastic_transform", "pixelate", "jpeg_compression", "saturate"]],
];
const HEAT = ["ece", "accuracy", "mean_iou", "ks", "nll", "brier", "prr", "coverage_at_risk_5", "stated_0.9", "ood_auroc"];
const familyOf = (name) => FAMILIES.find(([, names]) => names.includes(name))?.[0] ?? "others";
const RANKS = Object.fromEntries(FAMILIES.flatMap(([, names]) => names).map((name, i) => [name, i]));

function heatCell(m, model, domain, shade) {
  const cell = domain && cellOf(model, domain);
  if (!domain) return h("td", { class: "blank" });
  const value = m.of(cell);
  if (value === null) return h("td", {}, valueOf(m, cell));
  return h("td", { class: "heat", style: { "--shade": `${Math.round(100 * shade(m.cost(value)))}%` } },
    h("button", { type: "button", class: "plain", "data-tip": `${domain.name}\n${m.name} ${m.show(value)}`, "aria-label": `${domain.name}: ${m.name} ${m.show(value)}`, onclick: () => goTo(domain, model) }, m.show(value)));
}

// `columns`: {head, name, model, domainOf(corruption)}
function heatTable(m, names, columns, shade, corner, label, caption = null) {
  const rows = names.flatMap((name, i) => {
    const family = familyOf(name);
    const title = i === 0 || familyOf(names[i - 1]) !== family
      ? [h("tr", { class: "family" }, h("th", { colspan: columns.length + 1, scope: "rowgroup" }, family))] : [];
    return [...title, h("tr", {}, h("th", { scope: "row" }, corner === "severity" ? wordsOf(name) : columns[0].domainOf(name).short),
      columns.map((c) => heatCell(m, c.model, c.domainOf(name), shade)))];
  });
  return h("figure", { class: "heat-figure" }, caption,
    frame(label, h("table", { class: "heat-table" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, corner), columns.map((c) => h("th", { scope: "col" }, c.head)))),
      h("tbody", {}, rows))));
}

function heatTables(m, base, shade) {
  const domains = DOMAINS.filter((d) => d.corruption && d.of === base);
  const severities = [...new Set(domains.map((d) => d.severity))].sort((a, b) => (a ?? 0) - (b ?? 0));
  const names = [...new Set(domains.map((d) => d.corruption))].sort((a, b) => (RANKS[a] ?? 99) - (RANKS[b] ?? 99) || a.localeCompare(b));
  const clean = DOMAINS.find((d) => d.name === base);
  if (names.length === domains.length) {
    const columns = shownModels().map((model) => ({ model, head: modelName(model), domainOf: (name) => domains.find((d) => d.corruption === name) }));
    return [heatTable(m, names, columns, shade, "", `${m.name} under corruption`)];
  }
  const at = new Map(domains.map((d) => [JSON.stringify([d.corruption, d.severity]), d]));
  return shownModels().map((model) => {
    const reference = clean ? m.of(cellOf(model, clean)) : null;
    const columns = severities.map((s) => ({ model, head: s === null ? "any" : String(s), domainOf: (name) => at.get(JSON.stringify([name, s])) }));
    const caption = h("figcaption", {}, MODELS.length > 1 ? modelName(model) : null,
      reference === null ? null : h("span", { class: "muted" }, "uncorrupted ", h("b", {}, m.show(reference))));
    return heatTable(m, names, columns, shade, "severity", `${m.name} of ${model.name} under corruption`, caption);
  });
}

function showHeat() {
  const ids = HEAT.filter((id) => present(METRIC[id]));
  if (!BASES.size || !ids.length) return;
  const body = section("corruptions");
  const state = { metric: METRIC[ids[0]], base: [...BASES][0] };
  const grid = h("div", { class: "heat-grid" }), legend = h("p", { class: "muted scale-line" });
  const fold = folded(3, "models");
  const draw = () => {
    const m = state.metric;
    const domains = DOMAINS.filter((d) => d.corruption && d.of === state.base);
    const values = shownModels().flatMap((model) => domains.map((d) => m.of(cellOf(model, d)))).filter((v) => v !== null);
    const costs = values.map(m.cost);
    const [low, high] = [Math.min(...costs), Math.max(...costs)];
    const shade = (cost) => (high > low ? (cost - low) / (high - low) : 0);
    grid.replaceChildren(...fold.take(heatTables(m, state.base, shade)));
    const end = (cost) => m.show(values[costs.indexOf(cost)]);
    legend.replaceChildren(...(values.length ? [`${m.name}: `, h("span", {}, `best ${end(low)}`), h("i", { class: "scale", "aria-hidden": "true" }), h("span", {}, `worst ${end(high)}`)] : ["Nothing is defined here."]));
  };
  fold.bind(draw);
  body.append(h("div", { class: "controls left" }, metricPicker("Figure", ids, ids[0], (id) => { state.metric = METRIC[id]; draw(); }, "heat-metric"),
    BASES.size > 1 ? picker("Corrupted images of", [...BASES].map((b) => [b, b]), state.base, (b) => { state.base = b; draw(); }, "heat-base") : null, legend), grid, fold.button);
  always(draw);
}
