// The main table: a row per domain and model, groups of figures to switch.

const GROUPS = [
  ["overview", "Overview", ["accuracy", "mean_iou", "ece", "ks", "nll", "prr", "ood_auroc", "stated_0.9"]],
  ["accuracy", "Accuracy", ["accuracy", "mean_accuracy", "mean_iou"]],
  ["calibration", "Calibration", ["ece", "adaptive_ece", "classwise_ece", "mce", "rmsce", "ks", "nll", "brier", "mean_confidence"]],
  ["stated", "Stated and true", LEVELS.map((v) => `stated_${v}`)],
  ["errors", "Finding errors", ["prr", "auroc", "aupr", "fpr95", "aurc", "coverage_at_risk_5"]],
  ["ood", "Out of distribution", ["ood_auroc", "ood_aupr", "ood_fpr95", "unknown_auroc", "unknown_aupr", "unknown_fpr95", "siou", "ppv", "f1"]],
];
const BY_SCORE = GROUPS.at(-1)[2];
const MANY_DOMAINS = 14;

function ratioTag(m, cell) {
  const ratio = m.ratio(cell);
  if (ratio === null || !SOURCE) return null;
  const words = ratio >= 9.95 ? whole(ratio) : ratio.toFixed(ratio < 0.995 ? 2 : 1);
  const kind = ratio > 1.15 ? "worse" : ratio < 1 / 1.15 ? "better" : "same";
  return h("span", { class: `ratio ${kind}`, "data-tip": `The ${m.ratioOf} is ${words} times that in ${SOURCE.name}, for the same model.` }, `×\u2009${words}`);
}

function figureCell(m, cell, best) {
  const ends = m.interval(cell);
  const isBest = best.best.has(cell);
  const words = isBest ? (best.clear ? "Best in this domain; no other model's interval reaches it." : "Best in this domain, but intervals overlap or are not known.") : null;
  return h("td", { class: isBest ? (best.clear ? "best clear" : "best") : "" },
    h("div", { class: "figure-line" }, isBest ? h("span", { class: "best-mark", "data-tip": words }, best.clear ? "★" : "☆", h("span", { class: "hidden" }, words)) : null, ratioTag(m, cell), valueOf(m, cell)),
    ends ? h("small", { class: "ends", "data-tip": "90\u00a0% interval, by drawing images again and again (bootstrap)." }, `${m.show(ends[0])} – ${m.show(ends[1])}`) : null);
}

function tableRows(columns, sort, domains) {
  const rows = [];
  for (const domain of domains) {
    const cells = shownModels().map((model) => cellOf(model, domain));
    const judged = cells.filter((cell) => cell && !domain.fit);
    const best = new Map(columns.map((m) => [m, bestIn(m, judged)]));
    shownModels().forEach((model, i) => {
      if (cells[i]) rows.push({ domain, model, cell: cells[i], best });
    });
  }
  return sort.apply(rows);
}

function showTable() {
  if (!DATA.cells.length) return;
  const body = section("domains");
  const groups = GROUPS.map(([id, name, ids]) => [id, name, ids.map((i) => METRIC[i]).filter(present)]).filter(([, , list]) => list.length);
  if (!groups.length) return;
  const clean = DOMAINS.filter((d) => !d.corruption);
  const state = { group: groups[0], which: DOMAINS.length > MANY_DOMAINS && clean.length ? "plain" : "all" };
  const place = h("div");
  const legend = h("p", { class: "muted" });
  const score = scorePicker("table-score");
  let sort, columns;

  const head = () => {
    columns = state.group[2];
    sort = sorter([
      { name: "Domain", of: (r) => r.domain.short.toLowerCase(), text: true, tip: "Sort by name." },
      ...(MODELS.length > 1 ? [{ name: "Model", of: (r) => r.model.name.toLowerCase(), text: true, tip: "Sort by model." }] : []),
      ...columns.map((m) => ({ name: m.name, of: (r) => m.of(r.cell), tip: m.tip, down: m.good === "high" })),
    ], draw);
  };
  const draw = () => {
    const domains = DOMAINS.filter((d) => state.which === "all" || Boolean(d.corruption) === (state.which === "corrupted"));
    const rows = tableRows(columns, sort, domains);
    const grouped = !sort.state.column && MODELS.length > 1;
    const bodyRows = rows.map((row, i) => {
      const first = !grouped || rows[i - 1]?.domain !== row.domain;
      const span = grouped && first ? rows.filter((r) => r.domain === row.domain).length : null;
      return h("tr", { class: first && grouped ? "starts" : "" },
        first ? h("th", { scope: span ? "rowgroup" : "row", rowspan: span, class: "sticky" },
          h("button", { type: "button", class: "plain", "aria-label": `Worst classes and images of ${row.domain.name}`, onclick: () => goTo(row.domain, row.model) }, domainName(row.domain)),
          h("small", {}, plural(row.cell.images, "image"))) : null,
        MODELS.length > 1 ? h("th", { scope: "row", class: "model" }, modelName(row.model)) : null,
        columns.map((m) => figureCell(m, row.cell, row.best.get(m))));
    });
    place.replaceChildren(frame("Domains and models", h("table", { class: "figures-table domains" }, h("thead", {}, sort.row), h("tbody", {}, bodyRows))));
    const byScore = columns.some((m) => BY_SCORE.includes(m.id));
    score.hidden = !byScore;
    legend.replaceChildren(
      "Small: 90\u00a0% intervals. ×: error as a multiple of that in the source, for the same model.",
      MODELS.length > 1 ? " ☆ best model in a domain; ★ and no other interval reaches it." : "",
      byScore && view.score ? ` OOD by ${scoreName(view.score)}.` : "");
  };
  const pick = (id) => {
    state.group = groups.find((g) => g[0] === id);
    head();
    draw();
  };
  head();
  const corrupted = DOMAINS.length - clean.length;
  body.append(h("div", { class: "controls left" },
    groups.length > 1 ? segments("Figures", groups.map(([id, name]) => [id, name]), state.group[0], pick) : null,
    clean.length && corrupted ? segments("Domains shown", [["all", `All ${DOMAINS.length}`], ["plain", `${clean.length} as they are`], ["corrupted", `${corrupted} corrupted`]], state.which, (v) => { state.which = v; draw(); }) : null,
    score), place, legend);
  always(draw);
}
