// Which doubt finds errors, and which finds what the model does not know.

const SCORE_FIGURES = [
  ["Wrong pixels", "misclassification", [["prr", "prr", "PRR"], ["auroc", "auroc", "AUROC"], ["aupr", "aupr", "AUPR"], ["fpr95", "fpr95", "FPR95"], ["aurc", "aurc", "AURC"], ["excess_aurc", "aurc", "excess AURC"]]],
  ["Images of another domain", "ood_images", [["auroc", "ood_auroc", "AUROC"], ["aupr", "ood_aupr", "AUPR"], ["fpr95", "ood_fpr95", "FPR95"]]],
  ["Pixels of unknown classes", "ood_pixels", [["auroc", "unknown_auroc", "AUROC"], ["aupr", "unknown_aupr", "AUPR"], ["fpr95", "unknown_fpr95", "FPR95"]]],
  ["Unknown objects", "components", [["siou", "siou", "sIoU"], ["ppv", "ppv", "PPV"], ["mean_f1", "f1", "mean F1"]]],
];
const EXCESS = "How far the area under the risk-coverage curve lies above that of a perfect ranking. 0 to 1. Low is good.";

function scoreChoices() {
  return SCORE_FIGURES.map(([title, part, figures]) => [title, figures
    .filter(([key]) => DATA.cells.some((c) => Object.values(c[part] || {}).some((s) => number(s?.[key]) !== null)))
    .map(([key, id, name]) => ({ id: `${part}.${key}`, part, key, like: METRIC[id], name, title,
      tip: key === "excess_aurc" ? EXCESS : METRIC[id].tip }))]).filter(([, list]) => list.length);
}

function showScores() {
  const choices = scoreChoices();
  if (!choices.length) return;
  const body = section("scores");
  const all = choices.flatMap(([, list]) => list);
  let chosen = all[0];
  const place = h("div"), words = h("p", { class: "muted" });
  const fold = folded(24, "rows");
  const figureOf = (cell, score) => number(cell[chosen.part]?.[score]?.[chosen.key]);
  let sort;
  const head = () => {
    sort = sorter([
      { name: "Domain", of: (r) => r.domain.short.toLowerCase(), text: true },
      ...(MODELS.length > 1 ? [{ name: "Model", of: (r) => r.model.name.toLowerCase(), text: true }] : []),
      ...DATA.scores.map((s) => ({ name: scoreName(s), of: (r) => figureOf(r.cell, s), down: chosen.like.good === "high", tip: `Doubt by ${scoreName(s)}: ${chosen.tip}` })),
    ], draw);
  };
  const draw = () => {
    const rows = judgedDomains().flatMap((domain) => shownModels().map((model) => ({ domain, model, cell: cellOf(model, domain) })))
      .filter((r) => r.cell && DATA.scores.some((s) => figureOf(r.cell, s) !== null));
    words.textContent = `${chosen.title}, ${chosen.name}: ${chosen.tip} ☆ marks the best score of each row.`;
    place.replaceChildren(frame("Scores", h("table", { class: "figures-table scores" }, h("thead", {}, sort.row),
      h("tbody", {}, fold.take(sort.apply(rows)).map((r) => {
        const values = DATA.scores.map((s) => figureOf(r.cell, s));
        const known = values.filter((v) => v !== null);
        const best = new Set(known.map(asNumber)).size > 1 ? known.reduce((a, b) => (chosen.like.cost(b) < chosen.like.cost(a) ? b : a)) : null;
        const isBest = (v) => best !== null && v !== null && asNumber(v) === asNumber(best);
        return h("tr", {}, h("th", { scope: "row", class: "sticky" }, domainName(r.domain)),
          MODELS.length > 1 ? h("th", { scope: "row", class: "model" }, modelName(r.model)) : null,
          values.map((v) => h("td", { class: isBest(v) ? "best" : "" }, v === null
            ? h("span", { class: "none", tabindex: "0", "data-tip": "undefined for this score here" }, "–")
            : [isBest(v) ? h("span", { class: "best-mark" }, "☆") : null, h("span", { class: "value" }, asNumber(v))])));
      })))));
  };
  fold.bind(draw);
  head();
  body.append(h("div", { class: "controls left" },
    picker("Find", choices.map(([title, list]) => [title, list.map((c) => [c.id, `${title}: ${c.name}`])]), chosen.id, (id) => { chosen = all.find((c) => c.id === id); head(); draw(); }, "scores-metric")),
  words, place, fold.button);
  always(draw);
}
