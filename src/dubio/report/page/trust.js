// How well the ranking did where the truth is known: on errors planted by dubio itself.

function rankRow(name, scores, share, strong) {
  const cell = (value, mark) => h("td", {}, h("span", { class: "with-bar" }, value === null || value === undefined ? "–" : value.toFixed(2),
    shareBar(value ?? 0, { strong, mark, label: `${name}: ${value}` })));
  return h("tr", { class: strong ? "strong" : "" }, h("th", { scope: "row" }, name),
    cell(scores.ap, share), cell(scores.auroc, 0.5));
}

const MISTAKES = BOXES
  ? "objects left out or invented, classes swapped, boxes moved or drawn twice"
  : "objects left out or invented, classes swapped, outlines spoilt";

function planted(q) {
  const bins = (q.reliability || []).filter((b) => b.every((v) => v !== null));
  const rows = Object.entries(q.baselines || {}).sort((a, b) => (b[1].ap ?? 0) - (a[1].ap ?? 0));
  const best = rows.length ? rows[0][1].ap : null;
  const met = q.planted ? ` ${whole(q.met)} of the ${whole(q.planted)} (${percent(q.met / q.planted)}) were met by a candidate at all; the rest no model of this strength could point at.` : "";
  return h("div", { class: "trust" },
    h("div", { class: "trust-words" },
      h("p", {}, `Planted errors are mistakes that dubio makes on purpose in copies of your labels – ${MISTAKES} – so that it knows the truth. The finder learned from them in some images and is measured here on those in the others, which it had not seen.`),
      h("p", { class: "muted" }, `${whole(q.planted)} errors were planted.${met} Real errors may be easier or harder than planted ones.`)),
    h("div", {},
      h("table", { class: "ranks" },
        h("caption", {}, "Ranking of planted errors"),
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, ""), h("th", { scope: "col", title: "average precision" }, "Average precision"), h("th", { scope: "col", title: "area under the ROC curve" }, "AUROC"))),
        h("tbody", {}, rankRow("dubio", q, q.share, true), rows.map(([name, scores]) => rankRow(name, scores, q.share, false)))),
      best ? h("p", { class: "muted" }, `${(q.ap / best).toFixed(1)} times the average precision of the best simple score. The ticks mark chance.`) : null),
    bins.length ? h("figure", { class: "calibration" }, reliabilityDiagram(bins),
      h("figcaption", {}, "Calibration error (ECE) ", h("b", {}, q.ece === null ? "–" : q.ece.toFixed(3)),
        ": points on the diagonal mean that a probability is what it says.")) : null);
}

function generic(q) {
  return h("div", { class: "generic" },
    q.title ? h("p", {}, String(q.title)) : null,
    h("table", { class: "ranks" }, h("tbody", {}, q.rows.map(([name, value]) =>
      h("tr", {}, h("th", { scope: "row" }, String(name)), h("td", {}, typeof value === "number" ? String(Number(value.toPrecision(3))) : String(value ?? "–")))))));
}

function showTrust() {
  const q = DATA.summary.quality;
  if (!q) return;
  const parts = [];
  if (typeof q.ap === "number" && typeof q.auroc === "number") parts.push(planted(q));
  if (Array.isArray(q.rows) && q.rows.length) parts.push(generic(q));
  if (!parts.length) return;
  byId("trust-body").append(...parts);
  byId("trust").hidden = false;
}
