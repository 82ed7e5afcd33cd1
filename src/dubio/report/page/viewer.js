// The large view: all tiles side by side, or one of them in full size.

const viewer = byId("viewer");
const LOOKS = ["all", "picture", "label", "model"];
let look = "all";

// The strip is one file; a tile is a window onto it.
function tileOf(f, number) {
  const [width, , gap] = DATA.tile;
  const count = f.picture.tiles;
  const across = (count * (width + gap) - gap) / width;
  const image = h("img", { src: sourceOf(f), alt: "", draggable: "false",
    style: { width: `${100 * across}%`, "margin-left": `${(-100 * number * (width + gap)) / width}%` },
    onerror: () => viewer.querySelector(".tiles")?.replaceChildren(missing(`The picture ${f.picture.src} is not beside this page`)) });
  return h("div", { class: "tile" }, image);
}

function tiles(f) {
  if (!f.picture) return h("div", { class: "tiles" }, missing("No picture of this place"), h("p", { class: "captions two" }, sides(f)));
  const names = f.picture.tiles === 3 ? LOOKS.slice(1) : LOOKS.slice(2);
  const captions = { picture: "picture", label: ["label says ", chip(f.given)], model: modelSays(f) };
  const wanted = names.includes(look) ? [look] : names;
  return h("div", { class: "tiles", "data-count": wanted.length }, wanted.map((name) =>
    h("figure", {}, tileOf(f, names.indexOf(name)), h("figcaption", {}, captions[name]))));
}

function drawViewer() {
  const f = shown[cursor];
  if (!f || !viewer.open) return;
  const move = (by) => () => { moveTo(cursor + by, { focus: false }); drawViewer(); };
  const head = h("header", { class: "viewer-head" },
    h("span", { class: "number" }, `#${f.n}`), kindTag(f), h("span", { class: "image-id", title: f.image }, h("bdi", {}, f.image)), facts(f),
    f.picture ? h("div", { class: "segments looks", role: "group", "aria-label": "Tiles" }, LOOKS.filter((name) => f.picture.tiles === 3 || name !== "picture").map((name) =>
      h("button", { type: "button", class: "segment", "aria-pressed": String(look === name), onclick: () => setLook(name) },
        h("span", {}, name, key(String(LOOKS.indexOf(name) + 1)))))) : null,
    h("button", { type: "button", class: "quiet", "aria-label": "Close the large view", onclick: () => viewer.close() }, "Close", key("esc")));
  const foot = h("footer", { class: "viewer-foot" },
    h("div", { class: "viewer-words" }, h("p", {}, f.reason), scoreBar(f)),
    h("div", { class: "viewer-actions" },
      h("button", { type: "button", class: "step", disabled: cursor === 0, "aria-label": "Previous finding", onclick: move(-1) }, "←", key("k")),
      h("span", { class: "place" }, `${whole(cursor + 1)} of ${whole(shown.length)}`),
      h("button", { type: "button", class: "step", disabled: cursor === shown.length - 1, "aria-label": "Next finding", onclick: move(1) }, key("j"), "→"),
      verdictButtons(f, decide)));
  const held = viewer.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
  viewer.replaceChildren(head, tiles(f), foot);
  markCard(viewer, f);
  const again = held && [...viewer.querySelectorAll("button")].find((b) => b.getAttribute("aria-label") === held && !b.disabled);
  (again || viewer).focus();
  for (const near of [shown[cursor + 1], shown[cursor - 1]]) if (near?.picture) new Image().src = sourceOf(near);
}

function setLook(name) {
  look = name;
  drawViewer();
}

function openViewer(f) {
  if (f) standOn(f);
  if (!shown.length) return;
  viewer.showModal();
  drawViewer();
}

function showViewer() {
  viewer.tabIndex = -1;
  viewer.addEventListener("close", () => moveTo(cursor));
  viewer.addEventListener("click", (event) => {
    if (event.target === viewer) viewer.close();
  });
  onVerdict(() => {
    if (viewer.open && shown[cursor]) markCard(viewer, shown[cursor]);
  });
}
