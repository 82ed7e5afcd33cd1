// What the figures mean, how they are written, and which way is good.

const asShare = (v) => `${(100 * v).toFixed(1)}\u00a0%`;
const asNumber = (v) => (v === 0 ? "0" : v > 0 && v < 0.001 ? "< 0.001" : Math.abs(v) >= 100 ? whole(v) : v.toFixed(Math.abs(v) >= 10 ? 1 : 3));
const asRate = (v) => v.toFixed(2);

const SCALES = { share: asShare, number: asNumber, rate: asRate };
const WAYS = { high: "High is good.", low: "Low is good." };

function metric(id, name, good, range, words, more = {}) {
  const of = more.of || ((cell) => cell.metrics[id]);
  return {
    id, name, good, tip: `${words} ${range}. ${WAYS[good] || good}`, show: SCALES[more.scale || "number"],
    of: (cell) => number(cell && of(cell)),
    interval: (cell) => (cell?.intervals && cell.intervals[id]?.every((v) => number(v) !== null) ? cell.intervals[id] : null),
    ratio: (cell) => number(more.ratio ? cell.relative?.[more.ratio] : cell.relative?.[id]),
    ratioOf: more.ratioOf || name,
    why: (cell) => cell?.reasons?.[id] || (more.why ? more.why(cell) : "undefined here"),
    cost: more.cost || (good === "high" ? (v) => -v : good === "low" ? (v) => v : null),
  };
}

const onScore = (part, key) => (cell) => cell[part]?.[view.score]?.[key];
const noImages = (cell) => (DOMAINS.find((d) => d.name === cell.domain)?.source
  ? "the source is what other domains are told from" : "this score was not compared with the source");
const noUnknown = () => "no pixel shows a class that the model does not know";
const stated = (level) => metric(`stated_${level}`, `stated ${level} is right`, `Good is ${level} itself.`, "0 to 1",
  `Share right among the pixels whose stated confidence is about ${level}.`,
  { scale: "rate", of: (cell) => cell.stated?.[level], why: () => `too few pixels have a confidence of about ${level}`, cost: (v) => Math.abs(v - Number(level)) });
const LEVELS = [...new Set(DATA.cells.flatMap((c) => Object.keys(c.stated || {})))].sort();

const METRICS = [
  metric("accuracy", "accuracy", "high", "0 to 100\u00a0%", "Share of pixels that are right.", { scale: "share", ratio: "error", ratioOf: "share of wrong pixels" }),
  metric("mean_iou", "mIoU", "high", "0 to 100\u00a0%", "Mean over classes of intersection over union.", { scale: "share", ratio: "mean_iou_error", ratioOf: "one minus mIoU" }),
  metric("mean_accuracy", "class accuracy", "high", "0 to 100\u00a0%", "Mean over classes of the share of their pixels that are right.", { scale: "share" }),
  metric("ece", "ECE", "low", "0 to 1", "Expected calibration error: distance between stated confidence and share right, averaged over equally wide bins."),
  metric("adaptive_ece", "adaptive ECE", "low", "0 to 1", "The same over bins of equally many pixels."),
  metric("classwise_ece", "class-wise ECE", "low", "0 to 1", "Calibration error of the probability of each class, averaged over classes."),
  metric("mce", "MCE", "low", "0 to 1", "Maximum calibration error: that of the worst bin, however few its pixels."),
  metric("rmsce", "RMSCE", "low", "0 to 1", "Root mean square calibration error: large gaps weigh more."),
  metric("ks", "KS error", "low", "0 to 1", "Largest distance between accumulated confidence and accumulated share right; needs no bins."),
  metric("nll", "NLL", "low", "From 0, open end", "Negative log-likelihood: mean surprise at the true class, in nats."),
  metric("brier", "Brier", "low", "0 to 2", "Mean squared distance between the probabilities and the truth."),
  metric("mean_confidence", "mean confidence", "Good is as much as the accuracy.", "0 to 1", "Mean of the largest probability."),
  metric("prr", "PRR", "high", "-1 to 1, chance is 0", "Prediction rejection ratio: how well doubt ranks wrong pixels before right ones (2 AUROC minus 1)."),
  metric("auroc", "error AUROC", "high", "0 to 1, chance is 0.5", "Chance that a wrong pixel is more doubtful than a right one."),
  metric("aupr", "error AUPR", "high", "0 to 1, chance is the share of errors", "Average precision of finding wrong pixels by doubt."),
  metric("fpr95", "error FPR95", "low", "0 to 1", "Share of right pixels that are flagged when 95\u00a0% of the wrong ones are."),
  metric("aurc", "AURC", "low", "0 to 1", "Area under the risk-coverage curve: mean error rate over all shares of pixels that are kept."),
  metric("coverage_at_risk_5", "kept at 5\u00a0% errors", "high", "0 to 100\u00a0%", "Largest share of pixels, the surest first, of which at most 5\u00a0% are wrong.", { scale: "share" }),
  ...LEVELS.map(stated),
  metric("ood_auroc", "OOD AUROC", "high", "0 to 1, chance is 0.5", "Chance that an image of this domain has more doubt, by the chosen score, than one of the source.", { of: onScore("ood_images", "auroc"), why: noImages }),
  metric("ood_aupr", "OOD AUPR", "high", "0 to 1", "Average precision of finding images of this domain among those of the source.", { of: onScore("ood_images", "aupr"), why: noImages }),
  metric("ood_fpr95", "OOD FPR95", "low", "0 to 1", "Share of source images that are flagged when 95\u00a0% of this domain's are.", { of: onScore("ood_images", "fpr95"), why: noImages }),
  metric("unknown_auroc", "unknown AUROC", "high", "0 to 1, chance is 0.5", "Chance that a pixel of an unknown class is more doubtful than one of a known class.", { of: onScore("ood_pixels", "auroc"), why: noUnknown }),
  metric("unknown_aupr", "unknown AUPR", "high", "0 to 1", "Average precision of finding pixels of unknown classes by doubt.", { of: onScore("ood_pixels", "aupr"), why: noUnknown }),
  metric("unknown_fpr95", "unknown FPR95", "low", "0 to 1", "Share of known pixels that are flagged when 95\u00a0% of the unknown ones are.", { of: onScore("ood_pixels", "fpr95"), why: noUnknown }),
  metric("siou", "sIoU", "high", "0 to 1", "Mean overlap of unknown objects with what is flagged, neighbours not counted against it.", { of: onScore("components", "siou"), why: noUnknown }),
  metric("ppv", "PPV", "high", "0 to 1", "Mean share of each flagged component that is unknown.", { of: onScore("components", "ppv"), why: noUnknown }),
  metric("f1", "mean F1", "high", "0 to 1", "F1 of unknown objects found, averaged over overlaps that count as found.", { of: onScore("components", "mean_f1"), why: noUnknown }),
];
const METRIC = Object.fromEntries(METRICS.map((m) => [m.id, m]));
const present = (m) => m && DATA.cells.some((cell) => m.of(cell) !== null);

// A figure, or a dash that says why there is none.
function valueOf(m, cell) {
  const value = m.of(cell);
  if (value !== null) return h("span", { class: "value" }, m.show(value));
  const why = cell ? m.why(cell) : "not examined";
  return h("span", { class: "none", tabindex: "0", "data-tip": why }, "–", h("span", { class: "hidden" }, ` (${why})`));
}

// Models that are best in a domain by a figure; `clear` where no other interval reaches theirs.
function bestIn(m, cells) {
  const known = cells.filter((cell) => m.of(cell) !== null);
  if (!m.cost || known.length < 2) return { best: new Set(), clear: false };
  const least = known.reduce((a, b) => (m.cost(m.of(b)) < m.cost(m.of(a)) ? b : a));
  const best = new Set(known.filter((cell) => m.show(m.of(cell)) === m.show(m.of(least))));
  if (best.size === known.length) return { best: new Set(), clear: false };
  const ends = m.interval(least);
  const apart = (other) => other && (other[0] > ends[1] || other[1] < ends[0]);
  return { best, clear: Boolean(ends) && best.size === 1 && known.every((cell) => cell === least || apart(m.interval(cell))) };
}
