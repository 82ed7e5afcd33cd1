// Is the stated uncertainty true, and what is it worth?

const hueOf = (name) => (name === "as it is" ? RAW_HUE : OWN_HUE);
const DOUBT_WORDS = Object.fromEntries(DATA.worth.map((r) => [r.uncertainty, r.what]));
const doubtWords = (column) => (column.startsWith("cal_") ? `${DOUBT_WORDS[column.slice(4)] || column.slice(4)}, calibrated` : DOUBT_WORDS[column] || column);

function cornerTable(part) {
  // of a single kind, the total is that kind
  const kinds = Object.entries(part.figures).filter(([kind]) => part.kinds.length > 1 || kind === "total");
  const rows = kinds.flatMap(([kind, own]) => Object.entries(own).map(([name, f]) => ({ kind, name, f })));
  const column = (name, key, show, best, tipText, ends) => ({ name, of: (r) => number(r.f[key]), show, best, tip: tipText, down: best === "high", ends: ends ? (r) => (r.kind === "total" ? part.intervals[r.name]?.[key] : null) : null });
  const columns = [
    { name: "Spread of corners", of: (r) => `${r.kind} ${r.name}`, text: true, cell: (r) => [part.kinds.length === 1 ? part.kinds[0] : r.kind, h("small", {}, r.name)] },
    column("ECE", "ece", asNumber, "low", "Mean distance between stated and true share of corners within central intervals. 0 to 0.5, low is good.", true),
    column("within 90 %", "coverage_90", asShare, null, "True share of corners within the stated 90 % intervals. Good is 90 %.", true),
    column("NLL", "nll", asNumber, "low", "Negative log-likelihood of a corner's residual, nats. Low is good.", true),
    column("CRPS", "crps", PX, "low", "Continuous ranked probability score. Low is good.", true),
    column("sharpness", "sharpness", PX, null, "Root mean square of sigma: how much doubt is stated."),
    column("URMSE", "urmse", PX, "low", "Root mean square distance between sigma and the absolute residual. Low is good."),
    column("with |residual|", "spearman_residual", asSigned, "high", "Rank correlation of sigma with the distance of the corner, both in pixels. -1 to 1, high is good."),
    column("with 1 \u2212 IoU", "spearman_iou", asSigned, "high", "Rank correlation of the relative sigma with 1 - IoU. -1 to 1, high is good."),
    column("AUROC, wrong", "auroc_wrong", asNumber, "high", "Chance that a wrong detection has a greater relative sigma than a right one. 0.5 is chance."),
  ];
  return figureTable("Spread of corners", columns, rows);
}

function showStated() {
  const body = section("stated"), part = DATA.corners, confidence = DATA.confidence;
  const panels = [];
  if (!part.left_out) {
    panels.push(intervalPanel("Corners within stated intervals", part.curves, hueOf, (n) => part.figures.total[n]?.ece),
      residualPanel("Stated and true sigma of corners", part.residuals, hueOf));
  }
  if (Object.keys(confidence.curves).length) panels.push(confidencePanel("Confidence of detections", confidence.curves, hueOf, (n) => confidence.figures[n]?.ece));
  const how = DATA.calibration ? `Calibrated: ${DATA.calibration}.` : `Nothing is calibrated: ${DATA.no_calibration}.`;
  body.append(h("p", { class: "muted" }, `${how} ${part.left_out ? "Below the dashed line" : "First drawing: above the dashed line intervals are too wide. Second: below it sigma is too large. Last: below it"} the detector is too sure of what it found.`),
    h("div", { class: "panels" }, panels));
  if (!part.left_out && !part.kinds.length) body.append(h("p", { class: "notice" }, "The detector states no variances of corners: calibration learned their spread from score, size and class."));
  if (part.left_out) body.append(h("p", { class: "notice" }, `Nothing can be said of the uncertainty of corners: ${part.left_out}.`));
  else body.append(cornerTable(part), part.kinds.length < 2 ? "" : h("p", { class: "muted" }, "Aleatoric or epistemic spread alone is less than the whole, so that it can't cover all residuals. Calibrated parts share the calibrated whole as the stated ones did."));
}

function showWorth() {
  const rows = DATA.worth.filter((r) => [r.spearman_residual, r.spearman_iou, r.auroc_wrong].some((v) => number(v) !== null));
  if (!rows.length) return;
  const body = section("worth");
  const columns = [
    { name: "Uncertainty", of: (r) => r.what, text: true, cell: (r) => [r.what, r.calibrated ? h("span", { class: "mini" }, "calibrated") : null] },
    { name: "with distance", of: (r) => number(r.spearman_residual), show: asSigned, best: "high", down: true, tip: "Rank correlation with the mean distance of the corners, relative to the box. -1 to 1, high is good." },
    { name: "with 1 \u2212 IoU", of: (r) => number(r.spearman_iou), show: asSigned, best: "high", down: true, tip: "Rank correlation with 1 - IoU. -1 to 1, high is good." },
    { name: "AUROC, wrong", of: (r) => number(r.auroc_wrong), best: "high", down: true, tip: "Chance that a false detection, or one of a wrong class, is more uncertain than a right one. 0.5 is chance, high is good.", why: () => "needs right and wrong detections" },
  ];
  const named = Object.keys(DATA.along);
  const place = h("div", { class: "place" });
  const draw = (name) => {
    const own = DATA.along[name], high = Math.max(...own.x) || 1;
    place.replaceChildren(chartPanel(["Wrong along ", picker("", named.map((n) => [n, doubtWords(n)]), name, draw, "along")],
      plot(`Share of wrong detections by ${doubtWords(name)}`, { x: { low: 0, high, ticks: linearTicks(high), show: String, words: doubtWords(name), tell: asNumber }, y: { ...SHARES, words: "share wrong" },
        series: [{ name: "wrong", hue: OTHER_HUE, dots: true, points: own.x.map((v, i) => [v, own.mean[i]]), tell: (p) => `${percent(p[1])} wrong` }] }), [[OTHER_HUE, "bins of equally many detections"]]));
  };
  if (named.length) draw(named.includes("cal_score") ? "cal_score" : named[0]);
  body.append(h("div", { class: "beside" }, place, figureTable("Uncertainties", columns, rows, { start: 3 })));
}

const FACTOR_WORDS = { occlusion: "occlusion", truncation: "truncation", distance: "distance", size: "size of the box", score: "confidence" };

function showRelated() {
  const rows = DATA.correlations;
  if (!rows.length) return;
  const body = section("related");
  const factors = Object.keys(FACTOR_WORDS).filter((f) => rows.some((r) => r.factor === f));
  const doubts = [...new Set(rows.map((r) => r.uncertainty))].map((name) => ({ name, by: Object.fromEntries(rows.filter((r) => r.uncertainty === name).map((r) => [r.factor, r])) }));
  const columns = [{ name: "Uncertainty", of: (r) => doubtWords(r.name), text: true, cell: (r) => doubtWords(r.name) },
    ...factors.map((f) => ({ name: FACTOR_WORDS[f], of: (r) => number(r.by[f]?.spearman), show: asSigned, down: true, why: () => "not known, or the same for all boxes",
      ends: (r) => (r.by[f] && r.by[f].low !== undefined ? [r.by[f].low, r.by[f].high] : null), tip: `Rank correlation with ${FACTOR_WORDS[f]}. -1 to 1; 0: nothing to do with it.` }))];
  const asked = ["occlusion", "truncation", "distance"].filter((f) => !factors.includes(f));
  body.append(h("p", { class: "muted" }, `Spearman's rank correlation over boxes that are met, with 90\u00a0% intervals over images.${asked.length ? ` Of ${asked.join(" and ")} these labels say nothing, or the same for all boxes.` : ""}`),
    figureTable("Rank correlations", columns, doubts));
}
