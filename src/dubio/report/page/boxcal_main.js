// The page of a detector's calibration: before and after, and how all methods compare.

const RAW = "as it is";
const hueOfMethod = (name) => (name === RAW ? RAW_HUE : OWN_HUE);

const METHOD_COLUMNS = {
  confidence: [
    ["ECE", "ece", "low", "Expected calibration error: mean distance between stated confidence and share right, ten bins. 0 to 1."],
    ["D-ECE", "d_ece", "low", "The same over cells of confidence, place and size of the box. 0 to 1."],
    ["MCE", "mce", "low", "Calibration error of the worst bin. 0 to 1."],
    ["ACE", "ace", "low", "Calibration error over bins of equally many detections. 0 to 1."],
    ["Brier", "brier", "low", "Mean squared distance between confidence and truth. 0 to 1."],
    ["NLL", "nll", "low", "Negative log-likelihood: mean surprise, in nats."],
  ],
  classes: [
    ["accuracy", "accuracy", "high", "Share of matched detections whose most probable class is right."],
    ["ECE", "ece", "low", "Expected calibration error of the winning class, ten bins. 0 to 1."],
    ["MCE", "mce", "low", "Calibration error of the worst bin. 0 to 1."],
    ["ACE", "ace", "low", "Calibration error over bins of equally many detections. 0 to 1."],
    ["SCE", "sce", "low", "Mean over classes of the calibration error of each class."],
    ["Brier", "brier", "low", "Sum over classes of squared distances, mean over detections. 0 to 2."],
    ["NLL", "nll", "low", "Negative log-likelihood of the true class, in nats."],
  ],
  corners: [
    ["ECE", "ece", "low", "Mean distance between stated and true share of corners within central intervals, by the method's own law. 0 to 0.5."],
    ["within 90 %", "coverage_90", null, "True share of corners within the stated 90 % intervals. Good is 90 %."],
    ["NLL", "nll", "low", "Negative log-likelihood of a corner's residual, in nats."],
    ["CRPS", "crps", "low", "Continuous ranked probability score, in pixels."],
    ["published ECE", "published_ece", "low", "ECE under a normal law, whatever the method's own: the published figure."],
    ["sharpness", "sharpness", null, "Root mean square sigma, in pixels: how much doubt is stated."],
    ["URMSE", "urmse", "low", "Root mean square distance between sigma and the absolute residual, in pixels."],
  ],
};
const SHOWN_AS = { accuracy: asShare, coverage_90: asShare, crps: asPixels, sharpness: asPixels, urmse: asPixels };

function methodTable(part, id) {
  const rows = Object.entries(part.figures).map(([name, figures]) => ({ name, figures }));
  const columns = [
    { name: "Method", of: (r) => r.name, text: true, cell: (r) => [h("bdi", {}, r.name), r.name === part.chosen ? h("span", { class: "mini", "data-tip": "This one is in calibration.json." }, "chosen") : null] },
    ...METHOD_COLUMNS[id].filter(([, key]) => rows.some((r) => number(r.figures[key]) !== null)).map(([name, key, best, tipText]) => ({
      name, best, of: (r) => number(r.figures[key]), show: SHOWN_AS[key], down: best === "high",
      tip: `${tipText}${best === "low" ? ` ${NO_MORE}` : best === "high" ? ` ${NO_LESS}` : ""}`, ends: (r) => part.intervals?.[r.name]?.[key] })),
  ];
  return figureTable(`Methods, ${id}`, columns, rows, { few: 16, of: "methods" });
}

function showPart(id, panels, words) {
  const part = DATA[id];
  if (!part) return;
  const body = section(id);
  if (part.left_out) {
    body.append(h("p", { class: "notice" }, `Left as it is: ${part.left_out}.`));
    return;
  }
  const drawings = panels(part);
  const alone = drawings.length === 1;
  const shown = alone ? drawings : h("div", { class: "panels" }, drawings);
  body.append(h("p", { class: "muted" }, words), h("div", { class: alone ? "beside" : "" }, shown, methodTable(part, id)));
}

const eceOf = (part) => (name) => part.figures[name]?.ece;
byId("meta").append(h("bdi", {}, DATA.title), ` · ${day(DATA.date)} · ${plural(DATA.images, "image")} · ${plural(DATA.detections, "detection")}`);
byId("tools").append(themeButton());
byId("said-body").append(h("ul", { class: "said" }, DATA.sentences.slice(1).map((s) => h("li", { class: s.includes("worse") ? "warning" : "" }, s))),
  DATA.calibration?.length ? h("details", {}, h("summary", {}, "What calibration.json does"), h("ul", { class: "muted" }, DATA.calibration.map((s) => h("li", {}, s)))) : "");
showPart("corners", (part) => [
  intervalPanel("Corners within stated intervals", part.curves, hueOfMethod, eceOf(part)),
  residualPanel("Stated and true sigma", part.residuals, hueOfMethod),
], "Every method is judged on images that it was not fitted on. Above the dashed line of the left drawing the stated intervals are too wide, below too narrow; in the right drawing it is the other way round.");
showPart("confidence", (part) => [confidencePanel("Confidence", part.curves, hueOfMethod, eceOf(part))],
  "How often a detection of a stated confidence is right. Below the dashed line the detector is too sure. A larger dot stands for more detections.");
showPart("classes", (part) => [confidencePanel("Winning class", part.curves, hueOfMethod, eceOf(part))],
  "Of detections that stand for an object: how often the most probable class is the right one.");
showNavigation();
showEnds("Labels and detections were only read. summary.json beside this page holds all figures, calibration.json what 'dubio validate --calibration' applies.");
