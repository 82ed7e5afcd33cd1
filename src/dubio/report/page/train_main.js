// The page of a training run: losses, validation figures and learning rate by epoch.

const RUNS = DATA.runs, ALONE = RUNS.length === 1;
const hueOfRun = (i) => `var(--m${i % 8})`;
const has = (name) => RUNS.some((run) => run.rows.some((row) => number(row[name]) !== null));
const LAST = Math.max(...RUNS.map((run) => run.rows.at(-1).epoch));
const asLoss = (v) => (Math.abs(v) >= 1000 || (v !== 0 && Math.abs(v) < 0.001) ? v.toExponential(1).replace(".0e", "e") : String(Number(v.toPrecision(3))));
const WORDS = { val_ap: "AP", val_ap50: "AP at IoU 0.5", val_miou: "mean IoU", val_accuracy: "pixel accuracy" };

const points = (run, name) => run.rows.map((row) => [row.epoch, row[name]]);

// About five round numbers between two ends.
function roundTicks(low, high) {
  const step = linearTicks(high - low || 1)[1];
  const first = Math.ceil(low / step - 1e-9);
  return [...Array(Math.floor((high - low) / step + 1e-9) + 1).keys()]
    .map((n) => Number(((first + n) * step).toPrecision(6))).filter((v) => v <= high + 1e-9 * step);
}

function epochTicks() {
  const step = Math.max(1, Math.ceil(LAST / 5));
  return [...Array(Math.floor(LAST / step)).keys()].map((n) => (n + 1) * step);
}
const EPOCHS = { low: LAST > 1 ? 1 : 0, high: Math.max(LAST, 2), ticks: LAST > 1 ? epochTicks() : [1], show: String, words: "epoch" };

// Where a curve leaves the drawing: the first epochs of a loss can be many times the rest.
function lossRange(names) {
  const all = RUNS.flatMap((run) => names.flatMap((name) => points(run, name))).filter((p) => number(p[1]) !== null);
  const late = LAST >= 5 ? all.filter((p) => p[0] > 1) : all;
  const values = (late.length ? late : all).map((p) => p[1]);
  const low = Math.min(...values), high = Math.max(...values), margin = 0.06 * (high - low || Math.abs(high) || 1);
  return { low: low - margin, high: high + margin, clipped: all.some((p) => p[1] > high || p[1] < low) };
}

function lossPanel(title, name) {
  const train = `train_${name}`, val = `val_${name}`, range = lossRange([train, val]);
  const series = RUNS.flatMap((run, i) => [
    { name: ALONE ? "training" : `${run.name}, training`, hue: ALONE ? OTHER_HUE : hueOfRun(i), dash: "4 3", points: points(run, train) },
    { name: ALONE ? "validation" : `${run.name}, validation`, hue: ALONE ? OWN_HUE : hueOfRun(i), points: points(run, val) },
  ]);
  return panelOf(title, { ...range, ticks: roundTicks(range.low, range.high), show: asLoss, words: "loss" }, series,
    ALONE ? [[OTHER_HUE, "training (dashed)"], [OWN_HUE, "validation"]] : runKeys("dashed: training"));
}

const runKeys = (words) => [...RUNS.map((run, i) => [hueOfRun(i), run.name]), ...(words ? [["transparent", words]] : [])];
const marked = () => (ALONE && RUNS[0].best ? [RUNS[0].best.epoch] : []);

function panelOf(title, y, series, keys) {
  const dotted = series.map((s) => ({ ...s, dots: LAST < 3 }));
  return chartPanel(title, plot(`${title} by epoch`, { x: EPOCHS, y, series: dotted, marks: marked() }), keys);
}

function figurePanel(title, names) {
  const known = names.filter(has);
  const series = RUNS.flatMap((run, i) => known.map((name, k) => ({
    name: ALONE ? WORDS[name] : `${run.name}, ${WORDS[name]}`, hue: ALONE ? [OWN_HUE, OTHER_HUE][k] : hueOfRun(i),
    dash: k && !ALONE ? "4 3" : null, points: points(run, name), tell: (p) => p[1].toFixed(3) })));
  return panelOf(title, { ...SHARES, words: "share" }, series,
    ALONE ? known.map((name, k) => [[OWN_HUE, OTHER_HUE][k], WORDS[name]]) : runKeys(known.length > 1 ? `dashed: ${WORDS[known[1]]}` : ""));
}

function ratePanel() {
  const range = { low: 0, high: Math.max(...RUNS.flatMap((run) => run.rows.map((row) => row.lr || 0))) * 1.06 || 1 };
  const series = RUNS.map((run, i) => ({ name: ALONE ? "learning rate" : run.name, hue: ALONE ? OWN_HUE : hueOfRun(i), points: points(run, "lr") }));
  return panelOf("Learning rate", { ...range, ticks: linearTicks(range.high), show: asLoss, words: "" }, series, ALONE ? [] : runKeys(""));
}

byId("meta").append(h("bdi", {}, DATA.title), ` · ${day(DATA.date)} · ${plural(LAST, "epoch")}${ALONE ? "" : ` · ${plural(RUNS.length, "fold")}`}`);
byId("tools").append(themeButton());
if (DATA.sentences.length) byId("said-body").append(h("ul", { class: "said" }, DATA.sentences.map((s) => h("li", {}, s))));
else byId("said").hidden = true;

const LOSSES = [["Loss", "loss"], ["Loss of classes", "class_loss"], ["Loss of boxes", "box_loss"]].filter(([, name]) => has(`train_${name}`) || has(`val_${name}`));
const FIGURES = [["Detections", ["val_ap", "val_ap50"]], ["Segmentation", ["val_miou", "val_accuracy"]]].filter(([, names]) => names.some(has));
const clipped = LOSSES.some(([, name]) => lossRange([`train_${name}`, `val_${name}`]).clipped);
section("curves").append(
  h("p", { class: "muted" }, [
    marked().length ? `The dashed upright line is epoch ${marked()[0]}, whose weights are kept. ` : "",
    has("val_box_loss") ? "The loss of boxes is weighted in training and plain in validation: compare their courses, not their heights. " : "",
    clipped ? "The first epoch lies beyond the drawings of losses. " : "",
  ].join("")),
  h("div", { class: "panels" }, LOSSES.map(([title, name]) => lossPanel(title, name)), FIGURES.map(([title, names]) => figurePanel(title, names)), has("lr") ? ratePanel() : null));

const SHOWN = [["loss, training", "train_loss", asLoss], ["loss, validation", "val_loss", asLoss],
  ...Object.entries(WORDS).map(([name, words]) => [words, name, (v) => v.toFixed(3)]), ["learning rate", "lr", asLoss]].filter(([, name]) => has(name));
const TABLE = RUNS.flatMap((run) => run.rows.map((row) => ({ ...row, run: run.name, kept: run.best?.epoch === row.epoch }))).sort((a, b) => b.epoch - a.epoch);
section("epochs").append(figureTable("Epochs", [
  { name: "Epoch", of: (r) => r.epoch, cell: (r) => [String(r.epoch), ALONE ? null : ` · ${r.run}`, r.kept ? h("span", { class: "mini", "data-tip": "The weights of this epoch are kept." }, "kept") : null] },
  ...SHOWN.map(([name, key, show]) => ({ name, of: (r) => number(r[key]), show, down: key in WORDS })),
], TABLE, { few: 12, of: "epochs" }));
showNavigation();
showEnds(`${ALONE ? "curves.csv" : "curves.csv of each fold"} holds these numbers, metrics.json what is kept.`);
