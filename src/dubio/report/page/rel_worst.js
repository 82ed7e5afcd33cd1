// Worst classes and worst images of one model in one domain.

const worst = { model: null, domain: null, draw: () => {} };

// From other sections: show this domain and this model here.
function goTo(domain, model) {
  Object.assign(worst, { domain, model });
  worst.draw();
  byId("worst").scrollIntoView();
  byId("worst").focus({ preventScroll: true });
}

const swatchName = (color, name) => h("span", { class: "chip", title: name },
  color ? h("i", { class: "swatch", style: { background: `rgb(${color.join(" ")})` }, "aria-hidden": "true" }) : null, h("bdi", {}, name));

function classTable(cell, domain) {
  const share = (v) => (v === null ? h("span", { class: "none", "data-tip": "no pixel of this class is in the labels or predicted" }, "–") : h("span", { class: "with-bar" }, asShare(v), bar(v)));
  const bar = (v) => h("span", { class: "bar", "aria-hidden": "true" }, h("i", { style: { width: `${100 * clamp(v, 0, 1)}%` } }));
  const total = cell.classes.reduce((n, c) => n + c.pixels, 0);
  const columns = [
    { name: "Class", of: (c) => c.name.toLowerCase(), text: true },
    { name: "IoU", of: (c) => number(c.iou), tip: "Intersection over union of this class. 0 to 100\u00a0%. High is good." },
    { name: "Found", of: (c) => number(c.accuracy), tip: "Share of the pixels of this class that are predicted as such. 0 to 100\u00a0%. High is good." },
    { name: "ECE", of: (c) => (c.pixels ? number(c.ece) : null), down: true, tip: "Calibration error of the probability of this class. 0 to 1. Low is good." },
    { name: "Pixels", of: (c) => c.pixels, down: true, tip: "Share of the judged pixels that have this label." },
  ];
  const rows = cell.classes.map((c, i) => ({ ...c, color: domain.colors[i] }));
  const body = h("tbody"), fold = folded(12, "classes");
  const draw = () => body.replaceChildren(...fold.take(sort.apply(rows)).map((c) => h("tr", {}, h("th", { scope: "row" }, swatchName(c.color, c.name)),
    h("td", {}, share(number(c.iou))), h("td", {}, number(c.accuracy) === null ? "–" : asShare(c.accuracy)), h("td", {}, c.pixels && number(c.ece) !== null ? asNumber(c.ece) : "–"),
    h("td", {}, total ? percent(c.pixels / total) : "–"))));
  const sort = sorter(columns, draw, columns[1]);
  fold.bind(draw);
  draw();
  return h("div", {}, frame("Classes, worst first", h("table", { class: "figures-table classes" }, h("thead", {}, sort.row), body)), fold.button);
}

const viewer = byId("viewer");

function openPicture(row, src) {
  viewer.replaceChildren(
    h("header", { class: "viewer-head" }, h("span", { class: "image-id" }, h("bdi", {}, row.image_id)),
      h("button", { type: "button", class: "quiet", onclick: () => viewer.close() }, "Close", key("esc"))),
    h("div", { class: "big-tiles" }, row.picture.titles.map((title, n) => h("figure", {}, tile(src, n, row.picture.tiles), h("figcaption", {}, title)))));
  viewer.showModal();
}

// The strip is one file of `count` tiles with gaps; a tile is a window onto it.
function tile(src, n, count) {
  const [width, gap] = [432, 6];
  const whole = count * (width + gap) - gap;
  const image = h("img", { src, alt: "", draggable: "false", style: { width: `${(100 * whole) / width}%`, "margin-left": `${(-100 * n * (width + gap)) / width}%` } });
  return h("div", { class: "big-tile" }, image);
}

function worstImage(row) {
  const figures = [["accuracy", "accuracy"], ["mIoU", "mean_iou"], ["ECE", "ece"], ["mean confidence", "mean_confidence"]]
    .map(([name, id]) => [name, number(row[id]), METRIC[id]]);
  const facts = h("div", { class: "image-facts" }, h("span", { class: "image-id", title: row.image_id }, h("bdi", {}, row.image_id)),
    figures.map(([name, v, m]) => h("span", { "data-tip": m.tip }, h("small", {}, `${name} `), v === null ? "–" : m.show(v))));
  if (!row.picture) return h("li", { class: "worst-image" }, facts);
  const src = row.picture.src.split("/").map(encodeURIComponent).join("/");
  const titles = row.picture.titles;
  const image = h("img", { src, alt: `${row.image_id}: ${titles.join(", ")}`, loading: "lazy", decoding: "async", width: row.picture.size?.[0], height: row.picture.size?.[1],
    onerror: () => strip.replaceWith(h("p", { class: "no-picture" }, `The picture ${row.picture.src} is not beside this page`)) });
  const strip = h("button", { type: "button", class: "strip", "aria-label": `Large view of ${row.image_id}`, onclick: () => openPicture(row, src) }, image);
  return h("li", { class: "worst-image" }, facts, strip,
    h("div", { class: "strip-titles", "aria-hidden": "true", style: { "--tiles": row.picture.tiles } }, titles.map((t) => h("span", {}, t))));
}

function showWorst() {
  const domains = DOMAINS.filter((d) => MODELS.some((m) => { const c = cellOf(m, d); return c && (c.classes.length || c.worst.length); }));
  if (!domains.length) return;
  const body = section("worst");
  Object.assign(worst, { model: view.lead, domain: worstFirst(domains.filter((d) => !d.pooled), view.lead)[0] || domains[0] });
  const controls = h("div", { class: "controls left" }), place = h("div", { class: "worst" });
  worst.draw = () => {
    const held = document.activeElement?.id;
    const again = (values) => { Object.assign(worst, values); worst.draw(); };
    controls.replaceChildren(...[domainPicker("Domain", domains, worst.domain, (domain) => again({ domain }), "worst-domain"),
      modelPicker("Model", worst.model, (model) => again({ model }), "worst-model")].filter(Boolean));
    if (held) document.getElementById(held)?.focus({ preventScroll: true });
    const cell = cellOf(worst.model, worst.domain);
    if (!cell) { place.replaceChildren(h("p", { class: "empty" }, "This model was not examined on this domain.")); return; }
    place.replaceChildren(...[
      cell.classes.length ? h("div", { class: "worst-classes" }, h("h3", {}, "Classes, worst first"), classTable(cell, worst.domain)) : null,
      h("div", { class: "worst-images" }, h("h3", {}, "Images with the largest calibration error"),
        cell.worst.length ? h("ol", {}, cell.worst.map(worstImage)) : h("p", { class: "muted" }, "No images are listed here.")),
    ].filter(Boolean));
  };
  body.append(controls, place);
  viewer.addEventListener("click", (event) => {
    if (event.target === viewer) viewer.close();
  });
  worst.draw();
}
