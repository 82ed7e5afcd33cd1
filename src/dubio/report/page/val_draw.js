// Boxes over a picture: labels dashed, detections in the colour of their uncertainty, with bands of sigma.

const NO_BAND = "none";
const look = { order: "uncertain", doubt: null, band: NO_BAND, labels: true };
const DOUBTS = Object.keys(DATA.wall.quantiles);
const BANDS = [
  [NO_BAND, "no band"], ["sigma", "\u00b1\u00a01 sigma, stated"], ["cal_sigma", "\u00b1\u00a01 sigma, calibrated"],
  ["interval", `${Math.round(100 * DATA.level)}\u00a0% interval, calibrated`],
].filter(([key]) => key === NO_BAND || DATA.wall.images.some((i) => i.boxes.some((b) => b[key === "interval" ? "low" : key])));
look.doubt = ["cal_sigma_rel", "sigma_rel", "cal_score", "score"].find((d) => DOUBTS.includes(d)) || DOUBTS[0] || null;
look.band = BANDS.length > 1 ? BANDS[Math.min(2, BANDS.length - 1)][0] : NO_BAND;

// Blue is sure, red is not; bright enough for any picture.
const RAMP = [[64, 150, 255], [120, 220, 232], [255, 236, 90], [255, 160, 50], [255, 52, 64]];
function rampColour(place) {
  const at = clamp(place, 0, 1) * (RAMP.length - 1), k = Math.min(Math.floor(at), RAMP.length - 2), f = at - k;
  return `rgb(${RAMP[k].map((v, c) => Math.round(v + (RAMP[k + 1][c] - v) * f)).join(" ")})`;
}
const valueOfDoubt = (box, name) => (box[name] === undefined ? null : name.endsWith("score") ? 1 - box[name] : box[name]);

// Share of all detections that are surer.
function placeOf(name, value) {
  const steps = DATA.wall.quantiles[name];
  let k = 0;
  while (k < steps.length - 1 && steps[k + 1] < value) k += 1;
  const span = (steps[k + 1] ?? steps[k]) - steps[k];
  return clamp((k + (span > 0 ? clamp((value - steps[k]) / span, 0, 1) : 0)) / (steps.length - 1), 0, 1);
}
const colourOf = (box) => {
  const v = look.doubt ? valueOfDoubt(box, look.doubt) : null;
  return v === null ? "rgb(230 230 236)" : rampColour(placeOf(look.doubt, v));
};

const className = (k) => DATA.palette[k]?.name ?? `class ${k}`;
const STATE_WORDS = { found: "found", wrong_class: "wrong class", missed: "missed", false: "false", ignored: "ignored" };

function boxWords(box) {
  const lines = [STATE_WORDS[box.state]];
  if (box.given !== undefined) lines.push(`labelled: ${className(box.given)}`);
  if (box.predicted !== undefined) lines.push(`detected: ${className(box.predicted)}, confidence ${two(box.score)}${box.cal_score !== undefined ? `, calibrated ${two(box.cal_score)}` : ""}`);
  if (box.iou !== undefined) lines.push(`IoU ${two(box.iou)}`);
  for (const [key, words] of [["sigma", "sigma x0 y0 x1 y1, stated"], ["cal_sigma", "calibrated"]]) if (box[key]) lines.push(`${words}: ${box[key].map(asPixels).join(", ")} px`);
  for (const key of ["occlusion", "truncation", "distance"]) if (box[key] !== undefined) lines.push(`${key} ${asPixels(box[key])}`);
  return lines.join("\n");
}

const rectOf = (b, attributes) => svg("rect", { x: b[0], y: b[1], width: Math.max(b[2] - b[0], 0), height: Math.max(b[3] - b[1], 0), fill: "none", "vector-effect": "non-scaling-stroke", ...attributes });
const ring = (b) => `M${b[0]} ${b[1]}H${b[2]}V${b[3]}H${b[0]}Z`;

// The band between the smallest and the largest box that the corners allow.
function bandOf(box) {
  if (!box.box || look.band === NO_BAND) return null;
  const b = box.box, s = look.band === "interval" ? null : box[look.band];
  if (look.band === "interval" ? !box.low : !s) return null;
  const [lo, hi] = s ? [b.map((v, k) => v - s[k]), b.map((v, k) => v + s[k])] : [box.low, box.high];
  const inner = [hi[0], hi[1], lo[2], lo[3]], open = inner[0] < inner[2] && inner[1] < inner[3];
  return svg("path", { d: ring([lo[0], lo[1], hi[2], hi[3]]) + (open ? ring(inner) : ""), "fill-rule": "evenodd", fill: colourOf(box), class: "band" });
}

function drawn(box, tips) {
  const colour = colourOf(box), parts = [];
  if (box.given_box && (look.labels || box.state === "missed")) {
    parts.push(rectOf(box.given_box, { class: "halo" }), rectOf(box.given_box, { class: box.state === "missed" ? "label missed" : "label" }));
  }
  if (box.box) {
    parts.unshift(bandOf(box));
    parts.push(rectOf(box.box, { class: "halo" }), rectOf(box.box, { class: `detection ${box.state}`, stroke: colour }));
  }
  const area = box.box || box.given_box;
  if (tips && area) parts.push(rectOf(area, { class: "touch" }));
  return svg("g", { "data-tip": tips ? boxWords(box) : null }, parts);
}

const srcOf = (image) => image.src.split("/").map(encodeURIComponent).join("/");

// `crop`: [x, y, width, height] in pixels of the picture.
function scene(image, { crop = null, only = null, tips = false } = {}) {
  const [width, height] = image.size, view = crop || [0, 0, width, height];
  const under = image.src ? svg("image", { href: srcOf(image), width, height, preserveAspectRatio: "none" }) : svg("rect", { width, height, class: "no-image" });
  const boxes = ordered(only ? [only] : image.boxes.filter((b) => b.state !== "ignored"), (b) => -(b.score ?? 1), true);
  return svg("svg", { class: "scene", viewBox: view.join(" "), role: "img", "aria-label": `${image.id}: ${countWords(image)}`, style: { "aspect-ratio": `${view[2]} / ${view[3]}` } }, under, boxes.map((b) => drawn(b, tips)));
}

function countWords(image) {
  const counts = {};
  for (const b of image.boxes) counts[b.state] = (counts[b.state] || 0) + 1;
  return Object.keys(STATE_WORDS).filter((s) => counts[s]).map((s) => `${counts[s]} ${STATE_WORDS[s]}`).join(", ") || "no boxes";
}

function legend() {
  const stops = RAMP.map((c) => `rgb(${c.join(" ")})`).join(", "), steps = look.doubt ? DATA.wall.quantiles[look.doubt] : null;
  return h("p", { class: "legend muted" },
    steps ? [h("span", { class: "scale-line" }, asNumber(steps[0]), h("i", { class: "scale", style: { background: `linear-gradient(to right, ${stops})` }, role: "img", "aria-label": "from sure to unsure" }), asNumber(steps.at(-1))), h("span", {}, `${doubtWords(look.doubt)}; the colour is the share of all detections that are surer (median ${asNumber(steps[10])})`)] : null,
    h("span", {}, h("i", { class: "stroke dash" }), "label"), h("span", {}, h("i", { class: "stroke dash red" }), "missed"), h("span", {}, h("i", { class: "stroke" }), "detection"),
    h("span", {}, h("i", { class: "stroke dots" }), "false or of a wrong class"));
}
