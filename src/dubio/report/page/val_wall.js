// The wall of pictures: ordered by what goes wrong, coloured by a chosen uncertainty.

const ORDERS = {
  uncertain: ["most uncertain", (v) => `greatest relative sigma ${asNumber(v)}`], overconfident: ["most overconfident", (v) => `a corner is ${asPixels(v)} sigma off`],
  false: ["false detections", (v) => `sum of their scores ${asNumber(v)}`], missed: ["missed boxes", (v) => `${plural(v, "box", "boxes")} missed`],
  wrong_class: ["wrong classes", (v) => `sum of their scores ${asNumber(v)}`],
};
if (!DATA.wall.images.some((i) => i.boxes.some((b) => b.sigma || b.cal_sigma))) ORDERS.uncertain[1] = (v) => `least confidence ${two(1 - v)}`;
const viewer = byId("viewer");
const SHOWN = 12;

function openImage(image) {
  const rows = image.boxes.filter((b) => b.state !== "ignored");
  const column = (name, key, show, tipText) => ({ name, of: (b) => number(b[key]), show, tip: tipText, why: () => "not known", down: true });
  const columns = [
    { name: "State", of: (b) => b.state, text: true, cell: (b) => STATE_WORDS[b.state] },
    { name: "Label", of: (b) => (b.given === undefined ? "" : className(b.given)), text: true, cell: (b) => (b.given === undefined ? "–" : h("bdi", {}, className(b.given))) },
    { name: "Detection", of: (b) => (b.predicted === undefined ? "" : className(b.predicted)), text: true, cell: (b) => (b.predicted === undefined ? "–" : h("bdi", {}, className(b.predicted))) },
    column("confidence", "score", two), column("IoU", "iou", two), ...DOUBTS.filter((d) => !d.endsWith("score")).map((d) => column(doubtWords(d), d, asNumber)),
  ];
  const used = columns.filter((c, i) => i < 3 || rows.some((b) => c.of(b) !== null));
  const keys = DOUBTS.some((d) => d.endsWith("score")) && look.doubt?.endsWith("score") ? null : look.doubt;
  viewer.replaceChildren(h("header", { class: "viewer-head" }, h("span", { class: "image-id" }, h("bdi", {}, image.id)), h("span", { class: "muted" }, countWords(image)),
    h("button", { type: "button", class: "quiet", onclick: () => viewer.close() }, "Close", key("esc"))),
  h("div", { class: "big-scene" }, scene(image, { tips: true })), legend(),
  h("div", { class: "viewer-table" }, figureTable(`Boxes of ${image.id}`, used, keys ? ordered(rows, (b) => number(valueOfDoubt(b, keys)), true) : rows)));
  viewer.showModal();
}
viewer.addEventListener("close", hideTip);
viewer.addEventListener("click", (event) => { if (event.target === viewer) viewer.close(); });

function card(image) {
  return h("li", { class: "scene-card" }, h("button", { type: "button", class: "scene-open", "aria-label": `Large view of ${image.id}`, onclick: () => openImage(image) }, scene(image)),
    h("div", { class: "scene-facts" }, h("span", { class: "image-id", title: image.id }, h("bdi", {}, image.id)), h("span", {}, countWords(image)),
      image.by[look.order] ? h("small", {}, ORDERS[look.order][1](image.by[look.order])) : null));
}

function showWall() {
  if (!DATA.wall.images.length) return;
  const body = section("wall"), grid = h("ol", { class: "scenes" }), place = h("div"), fold = folded(SHOWN, "pictures");
  const orders = Object.keys(ORDERS).filter((o) => DATA.wall.images.some((i) => i.by[o] > 0));
  if (!orders.includes(look.order)) look.order = orders[0] ?? look.order;
  const draw = () => {
    grid.replaceChildren(...fold.take(ordered(DATA.wall.images.filter((i) => i.by[look.order] > 0), (i) => i.by[look.order], true)).map(card));
    place.replaceChildren(legend());
  };
  const set = (key) => (value) => { look[key] = value; draw(); };
  fold.bind(draw);
  body.append(h("div", { class: "controls left" },
    orders.length ? picker("Order", orders.map((o) => [o, ORDERS[o][0]]), look.order, set("order"), "wall-order") : null,
    DOUBTS.length ? picker("Colour", DOUBTS.map((d) => [d, doubtWords(d)]), look.doubt, set("doubt"), "wall-doubt") : null,
    BANDS.length > 1 ? picker("Band", BANDS, look.band, set("band"), "wall-band") : null,
    h("label", { class: "picker" }, h("input", { type: "checkbox", checked: true, id: "wall-labels", onchange: (e) => { look.labels = e.target.checked; draw(); } }), h("span", {}, "Labels"))),
  place, grid, fold.button);
  draw();
}
