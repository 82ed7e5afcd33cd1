// What is found: headline figures, precision, classes, corruptions.

const PX = (v) => `${asPixels(v)}\u00a0px`;
const FIGURES = [
  ["recall", "found", asShare, "Share of the labelled boxes that a detection of their class stands for (recall). High is good."],
  ["precision", "right of what it reports", asShare, "Share of the detections that stand for a labelled box of their class (precision). High is good."],
  ["missed", "missed", asShare, "Share of the labelled boxes that no detection of any class stands for. Low is good."],
  ["misclassification", "of a wrong class", asShare, "Share of the boxes that are met whose class is wrong. Low is good."],
  ["mean_iou", "mean IoU", two, "Mean intersection over union of a detection with its labelled box. 0 to 1, high is good."],
  ["rmse", "corners off by", PX, "Root mean square distance of corners from their labels. Low is good."],
];

function showSaid() {
  const body = byId("said-body"), ap = DATA.average_precision;
  const facts = FIGURES.map(([key, name, show, tipText]) => [name, [valueOr(DATA.figures[key], show, "no box is paired"), endsOf(DATA.intervals[key], show)], tipText]);
  facts.push(["AP", valueOr(ap.ap, asNumber, "no object is labelled"), "Average precision over IoU .50 to .95, as COCO has it; over all scores. High is good."],
    ["AP at IoU 0.5", valueOr(ap.ap50, asNumber, "no object is labelled"), "Average precision at an IoU of 0.5. High is good."]);
  if (DATA.run_time && number(DATA.run_time.median_ms) !== null) {
    const t = DATA.run_time;
    facts.push(["per picture", [h("span", { class: "value" }, `${asPixels(t.median_ms)}\u00a0ms`), h("small", { class: "ends" }, `mean ${asPixels(t.mean_ms)} ± ${asPixels(t.std_ms)}`)],
      `Median time from pixels to detections over ${plural(t.images, "picture")}, one at a time, on the machine of this run.`]);
  }
  body.append(h("ul", { class: "said" }, DATA.sentences.map((s) => h("li", { class: s.startsWith("Nothing can") ? "warning" : "" }, s))), factList(facts));
  if (DATA.calibrated_in_sample) notice("The calibration was fitted on these very images: figures called calibrated are better here than elsewhere.");
}

const COCO_WORDS = {
  ap: "AP, IoU .50 to .95", ap50: "AP at IoU .50", ap75: "AP at IoU .75", ap_small: "AP, small", ap_medium: "AP, medium", ap_large: "AP, large",
  ar1: "AR, 1 per picture", ar10: "AR, 10 per picture", ar100: "AR, 100 per picture", ar_small: "AR, small", ar_medium: "AR, medium", ar_large: "AR, large",
};

function showCurves() {
  const body = section("curves"), ap = DATA.average_precision;
  const over = Object.entries(ap.per_iou).map(([t, v]) => [Number(t), v]);
  const panels = [chartPanel("Average precision over IoU", plot("Average precision by least IoU", {
    x: { ...SHARES, words: "least IoU", tell: two }, y: { ...SHARES, words: "average precision", tell: asNumber },
    series: [{ name: "all classes", hue: OWN_HUE, points: over, dots: true }], marks: [DATA.pairing.iou] }), [[OWN_HUE, "mean of the classes"]])];
  const place = h("div", { class: "place" }), curves = DATA.precision_recall.filter((c) => c.recall.length);
  if (curves.length) {
    const draw = (name) => {
      const own = curves.find((c) => c.name === name) || curves[0];
      const lines = [...new Set([curves[0], own])];
      const hue = (c) => (c === curves[0] ? OWN_HUE : OTHER_HUE);
      place.replaceChildren(chartPanel([`Precision against recall, IoU ${DATA.pairing.iou} `, curves.length > 1 ? picker("", curves.map((c) => [c.name, c.name]), own.name, draw, "curve-class") : null],
        plot("Precision against recall", { x: { ...SHARES, words: "recall", tell: two }, y: { ...SHARES, words: "precision" },
          series: lines.map((c) => ({ name: c.name, hue: hue(c), points: c.recall.map((r, i) => [r, c.precision[i], c.score[i]]),
            tell: (p) => `precision ${two(p[1])}, scores from ${two(p[2])}` })) }),
        lines.map((c) => [hue(c), c.name])));
    };
    draw(curves.length === 2 ? curves[1].name : curves[0].name);
    panels.push(place);
  }
  const coco = h("figure", { class: "panel" }, h("figcaption", { "data-tip": "Small: below 32 x 32 pixels; large: above 96 x 96. AR: average recall." }, "COCO's twelve"),
    h("dl", { class: "pairs" }, Object.entries(COCO_WORDS).map(([key, name]) => h("div", {}, h("dt", {}, name), h("dd", {}, valueOr(ap[key], asNumber, "no such object is labelled"))))));
  body.append(h("div", { class: "panels" }, panels, coco));
}

function showClasses() {
  if (!DATA.classes.length) return;
  const body = section("classes");
  const none = (words) => () => words;
  const columns = [
    { name: "Class", of: (c) => c.name.toLowerCase(), text: true, cell: (c) => h("span", { class: "chip", title: c.name }, h("i", { class: "swatch", style: { background: `rgb(${c.color.join(" ")})` }, "aria-hidden": "true" }), h("bdi", {}, c.name)) },
    { name: "labels", of: (c) => c.labels, show: whole, down: true, tip: "Labelled boxes of this class that count." },
    { name: "found", of: (c) => c.found, show: whole, down: true, tip: "Of these, with a detection of this class." },
    { name: "wrong class", of: (c) => c.wrong_class, show: whole, down: true, tip: "Of these, with a detection of another class only." },
    { name: "missed", of: (c) => c.missed, show: whole, down: true, tip: "Of these, without a detection." },
    { name: "false", of: (c) => c.false, show: whole, down: true, tip: "Detections of this class where nothing is labelled." },
    { name: "precision", of: (c) => number(c.precision), show: asShare, tip: "Share of its detections that are right. High is good.", why: none("no detection is of this class") },
    { name: "recall", of: (c) => number(c.recall), show: asShare, tip: "Share of its labelled boxes that are found. High is good.", why: none("no box of this class is labelled") },
    { name: "AP", of: (c) => number(c.ap), tip: "Average precision over IoU .50 to .95. High is good.", why: none("no box of this class is labelled") },
    { name: "AP50", of: (c) => number(c.ap50), tip: "Average precision at an IoU of 0.5. High is good.", why: none("no box of this class is labelled") },
    ...(DATA.voc ? [{ name: "VOC AP", of: (c) => number(c.voc), tip: "Average precision as Pascal VOC defines it. High is good.", why: none("no box of this class is labelled") }] : []),
    { name: "mean IoU", of: (c) => number(c.mean_iou), show: two, tip: "Of its boxes that are met.", why: none("no box of this class is met") },
    { name: "RMSE", of: (c) => number(c.rmse), show: PX, down: true, tip: "Root mean square distance of corners from their labels. Low is good.", why: none("no box of this class is met") },
  ];
  body.append(figureTable("Classes", columns, ordered(DATA.classes, (c) => c.labels, true), { few: 15, of: "classes" }));
}

function showCorruptions() {
  const rows = DATA.corruptions;
  if (rows.length < 2) return;
  const body = section("corruptions");
  const column = (name, key, show, tipText, down = false) => ({ name, of: (r) => number(r[key]), show, tip: tipText, down, why: () => "undefined here" });
  const columns = [
    { name: "Pictures", of: (r) => r.name, text: true, cell: (r) => [h("bdi", {}, r.name), r.moves ? h("span", { class: "mini", "data-tip": "The labelled boxes moved along with the picture." }, "boxes moved") : null] },
    column("AP", "ap", asNumber, "Average precision over IoU .50 to .95. High is good."),
    column("AP50", "ap50", asNumber, "Average precision at an IoU of 0.5. High is good."),
    column("precision", "precision", asShare, "Share of the detections that are right. High is good."),
    column("found", "recall", asShare, "Share of the labelled boxes that are found. High is good."),
    column("mean IoU", "mean_iou", two, "Of the boxes that are met. High is good."),
    column("RMSE", "rmse", PX, "Root mean square distance of corners from their labels. Low is good.", true),
    column("stated sigma", "sharpness", PX, "Root mean square of the stated sigma: does the detector notice that it errs more?", true),
    column("ECE", "ece", asNumber, "Mean distance between stated and true share of corners within intervals. 0 to 0.5, low is good.", true),
    column("ECE calibrated", "ece_calibrated", asNumber, "The same after the calibration of the pictures as they are. Low is good.", true),
    column("agreement", "agreement", two, "Mean over the detections on the pictures as they are, moved along, of the best IoU with one on the spoilt picture. 1: the same boxes."),
  ];
  const used = columns.filter((c, i) => i === 0 || rows.some((r) => c.of(r) !== null));
  body.append(h("p", { class: "muted" }, "The same detector and the same least score on pictures that were spoilt on purpose. Where the picture moves, labels and variances move with it."),
    figureTable("Corruptions", used, rows, { few: 25, of: "corruptions" }));
}
