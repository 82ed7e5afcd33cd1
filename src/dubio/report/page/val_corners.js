// Epistemic against aleatoric: the grid, its two far corners, and what lies in them.

const CORNER_WORDS = {
  high_aleatoric: ["High aleatoric, low epistemic", "The data are noisy: borders are hidden, blurred or cut. More training data of the kind would not help."],
  high_epistemic: ["Low aleatoric, high epistemic", "The model does not know this: more training data of the kind would help."],
};

function gridPanel(part) {
  const side = part.side, [x0, y0] = part.origin, [dx, dy] = part.step;
  const { side: size, left, top } = PLOT;
  const at = ([u, v]) => [left + ((u - x0) / (dx * side)) * size, top + size - ((v - y0) / (dy * side)) * size];
  const cell = (column, row, hue) => svg("rect", { x: left + (column / side) * size, y: top + size - ((row + 1) / side) * size, width: size / side, height: size / side, class: "corner-cell", style: { "--hue": hue } });
  const ticks = [...Array(side + 1).keys()];
  const drawing = svg("svg", { class: "chart", viewBox: `0 0 ${left + size + 14} ${top + size + 38}`, role: "img", "aria-label": `Grid of ${side} by ${side} cells of epistemic against aleatoric uncertainty` },
    cell(side - 1, 0, OTHER_HUE), cell(0, side - 1, OWN_HUE),
    ticks.map((t) => { const p = left + (t / side) * size, q = top + size - (t / side) * size; return [svg("line", { x1: p, x2: p, y1: top, y2: top + size, class: "grid" }), svg("line", { x1: left, x2: left + size, y1: q, y2: q, class: "grid" })]; }),
    [0, side].map((t) => [svg("text", { x: left + (t / side) * size, y: top + size + 14, "text-anchor": "middle" }, asNumber(x0 + t * dx)), svg("text", { x: left - 6, y: top + size - (t / side) * size + 4, "text-anchor": "end" }, asNumber(y0 + t * dy))]),
    part.points.map((p) => svg("circle", { class: "dust", cx: at(p)[0].toFixed(1), cy: at(p)[1].toFixed(1), r: 1.6 })),
    svg("text", { x: left + size / 2, y: top + size + 31, "text-anchor": "middle", class: "axis" }, "aleatoric, relative to the box"),
    svg("text", { x: -(top + size / 2), y: 10, transform: "rotate(-90)", "text-anchor": "middle", class: "axis" }, "epistemic, relative"));
  return chartPanel(`Grid of ${side} × ${side}`, drawing, [[OTHER_HUE, "high aleatoric"], [OWN_HUE, "high epistemic"]]);
}

// A box with its surroundings, four to three.
function cropAround(image, box) {
  const both = [box.box, box.given_box].filter(Boolean);
  const low = [0, 1].map((k) => Math.min(...both.map((b) => b[k]))), high = [2, 3].map((k) => Math.max(...both.map((b) => b[k])));
  let width = Math.max((high[0] - low[0]) * 1.7, 24), height = Math.max((high[1] - low[1]) * 1.7, 18);
  width = Math.max(width, (height * 4) / 3);
  height = (width * 3) / 4;
  return [(low[0] + high[0] - width) / 2, (low[1] + high[1] - height) / 2, width, height];
}

function cropCard([place, row]) {
  const image = DATA.wall.images[place], box = image.boxes[row];
  return h("li", { class: "scene-card" }, h("button", { type: "button", class: "scene-open", "aria-label": `Large view of ${image.id}`, onclick: () => openImage(image) }, scene(image, { crop: cropAround(image, box), only: box })),
    h("div", { class: "scene-facts" }, h("span", {}, h("bdi", {}, className(box.predicted ?? box.given))), h("small", {}, `al ${asNumber(box.al_rel)}, ep ${asNumber(box.ep_rel)}, IoU ${two(box.iou)}`)));
}

function showCorners() {
  const body = section("corners"), part = DATA.corner_cases;
  if (part.left_out) {
    body.append(h("p", { class: "muted" }, `Nothing to show: ${part.left_out}.`));
    return;
  }
  const rows = [["all", "All detections that are met", part.all], ...Object.entries(part.corners).map(([key, c]) => [key, CORNER_WORDS[key][0], c])];
  const column = (name, key, show, tipText) => ({ name, of: (r) => number(r[2][key]), show, tip: tipText, why: () => "not known" });
  const columns = [{ name: "Detections", of: (r) => r[1], text: true, cell: (r) => r[1] }, column("number", "n", whole), column("mean IoU", "iou", two), column("confidence", "score", two),
    column("wrong class", "wrong_class", asShare), column("class entropy", "entropy", asNumber, "Mean, in nats."), column("mean area", "size", (v) => `${whole(v)} px²`, "Of the labelled box."),
    column("aleatoric", "al_rel", asNumber), column("epistemic", "ep_rel", asNumber)];
  body.append(h("p", { class: "muted" }, `The finest grid whose two far corners still hold three detections each. Rank correlation of the two: ${number(part.spearman) === null ? "undefined" : asSigned(part.spearman)}.`),
    h("div", { class: "beside" }, gridPanel(part), figureTable("Corner cases", columns, rows)),
    ...Object.keys(part.corners).flatMap((key) => [h("h3", { class: "part" }, CORNER_WORDS[key][0]), h("p", { class: "muted" }, CORNER_WORDS[key][1]), h("ol", { class: "scenes crops", id: key }, (DATA.wall.also[key] || []).map(cropCard))]));
}
