// Small drawings, one per domain: axes, lines of the models, and what lies under the pointer.

const SIDE = 236, LEFT = 46, TOP = 8, STRIP = 40;
const px = (v) => LEFT + clamp(v, 0, 1) * SIDE;

function axes({ xs, ys, y, xWords, yWords, bottom, showX = String, showY = String }) {
  return [
    xs.map((t) => [svg("line", { x1: px(t), x2: px(t), y1: TOP, y2: TOP + SIDE, class: "grid" }),
      svg("text", { x: px(t), y: bottom + 14, "text-anchor": "middle" }, showX(t))]),
    ys.map((t) => [svg("line", { x1: px(0), x2: px(1), y1: y(t), y2: y(t), class: "grid" }),
      svg("text", { x: LEFT - 6, y: y(t) + 4, "text-anchor": "end" }, showY(t))]),
    svg("text", { x: px(0.5), y: bottom + 31, "text-anchor": "middle", class: "axis" }, xWords),
    svg("text", { x: -(TOP + SIDE / 2), y: 10, transform: "rotate(-90)", "text-anchor": "middle", class: "axis" }, yWords),
  ];
}

const path = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

// A drawing that tells what is nearest to the pointer: `at(v)` gives lines of text for a place on the x axis.
function chart(label, height, content, at) {
  const cross = svg("line", { class: "cross", y1: TOP, y2: TOP + SIDE, visibility: "hidden" });
  const drawing = svg("svg", { class: "chart", viewBox: `0 0 ${LEFT + SIDE + 14} ${height}`, role: "img", "aria-label": label }, content, cross);
  drawing.addEventListener("pointermove", (event) => {
    const box = drawing.getBoundingClientRect();
    const v = (((event.clientX - box.left) / box.width) * (LEFT + SIDE + 14) - LEFT) / SIDE;
    const found = v >= -0.03 && v <= 1.03 ? at(clamp(v, 0, 1)) : null;
    cross.setAttribute("visibility", found ? "visible" : "hidden");
    if (!found) { hideTip(); return; }
    cross.setAttribute("x1", px(found.x));
    cross.setAttribute("x2", px(found.x));
    showTip([h("div", { class: "tip-title" }, found.title), ...found.rows.map(([model, words]) => h("div", {}, dot(model), " ", MODELS.length > 1 ? `${model.name}: ` : "", words))],
      event.clientX, event.clientY + 8, event.clientY - 8);
  });
  drawing.addEventListener("pointerleave", () => {
    cross.setAttribute("visibility", "hidden");
    hideTip();
  });
  return drawing;
}

function panel(domain, drawing, figures) {
  return h("figure", { class: "panel" }, h("figcaption", {}, domainName(domain)), drawing,
    h("div", { class: "panel-figures" }, figures.map(([model, words]) => h("span", { class: "chip" }, dot(model), words))));
}

// Bins with fewer pixels say nothing reliable: they are drawn as points, but no line leads through them.
const ENOUGH = 100;

const withCells = (domain, has) => shownModels().map((model) => [model, cellOf(model, domain)]).filter(([, cell]) => cell && has(cell));
const panelOrder = () => {
  const plain = judgedDomains().filter((d) => !d.corruption);
  return [...ordered(plain, (d) => (d.source ? 0 : d.pooled ? 2 : 1)), ...worstFirst(judgedDomains().filter((d) => d.corruption), view.lead)];
};

function reliabilityPanel(domain) {
  const y = (v) => TOP + (1 - clamp(v, 0, 1)) * SIDE;
  const base = TOP + SIDE + 10 + STRIP;
  const rows = withCells(domain, (cell) => cell.reliability.length).map(([model, cell]) => {
    const bins = cell.reliability.filter((b) => b.every((v) => number(v) !== null));
    return { model, cell, bins, sure: bins.filter((b) => b[2] >= ENOUGH), all: bins.reduce((n, b) => n + b[2], 0) };
  });
  const width = Math.max(9 / Math.max(rows.length, 1), 1.6);
  const tall = (share) => (share > 0 ? Math.max(Math.sqrt(share) * STRIP, 1) : 0);
  const nearest = (bins, v) => bins.reduce((a, b) => (Math.abs(b[0] - v) < Math.abs(a[0] - v) ? b : a));
  const content = [
    axes({ xs: [0, 0.25, 0.5, 0.75, 1], ys: [0, 0.25, 0.5, 0.75, 1], y, xWords: "stated confidence", yWords: "share right", bottom: base }),
    svg("line", { x1: px(0), x2: px(1), y1: base, y2: base, class: "grid" }),
    svg("line", { x1: px(0), y1: y(0), x2: px(1), y2: y(1), class: "ideal" }),
    rows.map(({ model, bins, sure, all }, i) => svg("g", { style: { "--hue": model.hue } },
      (rows.length <= 2 || model === view.lead) && sure.length > 1 ? svg("path", { class: "gap", d: `${path([...sure.map((b) => [px(b[0]), y(b[1])]), ...[...sure].reverse().map((b) => [px(b[0]), y(b[0])])])}Z` }) : null,
      svg("path", { class: "line", d: path(sure.map((b) => [px(b[0]), y(b[1])])), "stroke-dasharray": model.index >= HUES ? "5 3" : null }),
      bins.map((b) => svg("circle", { class: "point", cx: px(b[0]).toFixed(1), cy: y(b[1]).toFixed(1), r: (1.1 + 2.9 * Math.sqrt(b[2] / all)).toFixed(1) })),
      bins.map((b) => svg("rect", { class: "share", x: (px(b[0]) + (i - rows.length / 2) * width).toFixed(1), width: width.toFixed(1),
        y: (base - tall(b[2] / all)).toFixed(1), height: tall(b[2] / all).toFixed(1) })))),
  ];
  const at = (v) => {
    if (!rows.length) return null;
    const found = rows.map((r) => [r, nearest(r.bins, v)]);
    return { x: found[0][1][0], title: `confidence about ${asRate(found[0][1][0])}`,
      rows: found.map(([r, b]) => [r.model, `states ${b[0].toFixed(3)}, right ${b[1].toFixed(3)}, ${percent(b[2] / r.all)} of pixels`]) };
  };
  const eces = rows.map(({ model, cell }) => [model, METRIC.ece.of(cell)]).map(([model, v]) => [model, v === null ? "–" : `ECE ${asNumber(v)}`]);
  const drawing = rows.length
    ? chart(`Reliability diagram of ${domain.name}: ${eces.map(([m, w]) => `${m.name} ${w}`).join(", ")}`, base + 38, content, at)
    : h("p", { class: "empty" }, "No pixel could be judged here.");
  return panel(domain, drawing, eces);
}

function showDiagrams() {
  if (!DATA.cells.some((cell) => cell.reliability.length)) return;
  const body = section("diagrams");
  const grid = h("div", { class: "panels" }), fold = folded(8);
  const draw = () => grid.replaceChildren(...fold.take(panelOrder()).map(reliabilityPanel));
  fold.bind(draw);
  body.append(h("p", { class: "muted" }, "Below the dashed line the model is too sure, above it too careful. Bars: share of pixels at each confidence, on a square-root scale, so that small shares can be seen."), grid, fold.button);
  always(draw);
}
