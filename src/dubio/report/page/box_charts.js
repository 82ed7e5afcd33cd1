// Line drawings on any axes: what lies nearest to the pointer is told in words.

const PLOT = { side: 236, left: 46, top: 8 };

function scaled(axis) {
  const f = axis.log ? (v) => Math.log(Math.max(v, 1e-12)) : (v) => v;
  return (v) => clamp((f(v) - f(axis.low)) / (f(axis.high) - f(axis.low) || 1), 0, 1);
}

// Ticks of an axis with a logarithmic scale: 1, 3, 10, 30 … within its range.
function logTicks(low, high) {
  const found = [];
  for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e += 1) {
    for (const m of [1, 3]) if (m * 10 ** e >= low * 0.999 && m * 10 ** e <= high * 1.001) found.push(Number((m * 10 ** e).toPrecision(2)));
  }
  return found;
}

function linearTicks(high) {
  const rough = high / 4, power = 10 ** Math.floor(Math.log10(rough || 1));
  const step = [1, 2, 2.5, 5, 10].find((m) => m * power >= rough) * power;
  return [...Array(Math.floor(high / step + 1e-9) + 1).keys()].map((n) => Number((n * step).toPrecision(6)));
}

const SHARES = { low: 0, high: 1, ticks: [0, 0.25, 0.5, 0.75, 1], show: String };
const plotPath = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

// `x`, `y`: {low, high, ticks, words, show, log}; `series`: {name, hue, points: [[x, y, weight]], dots, dash, tell}.
function plot(label, { x, y, series, diagonal = false, marks = [] }) {
  const { side, left, top } = PLOT, width = left + side + 14, bottom = top + side;
  const fx = scaled(x), fy = scaled(y);
  const at = (p) => [left + fx(p[0]) * side, bottom - fy(p[1]) * side];
  const cross = svg("line", { class: "cross", y1: top, y2: bottom, visibility: "hidden" });
  const shown = series.map((s) => ({ ...s, points: s.points.filter((p) => number(p[0]) !== null && number(p[1]) !== null) })).filter((s) => s.points.length);
  const content = [
    x.ticks.map((t) => [svg("line", { x1: at([t, 0])[0], x2: at([t, 0])[0], y1: top, y2: bottom, class: "grid" }),
      svg("text", { x: at([t, 0])[0], y: bottom + 14, "text-anchor": "middle" }, x.show(t))]),
    y.ticks.map((t) => [svg("line", { x1: left, x2: left + side, y1: at([x.low, t])[1], y2: at([x.low, t])[1], class: "grid" }),
      svg("text", { x: left - 6, y: at([x.low, t])[1] + 4, "text-anchor": "end" }, y.show(t))]),
    diagonal ? svg("path", { class: "ideal", d: plotPath([at([x.low, Math.max(x.low, y.low)]), at([Math.min(x.high, y.high), Math.min(x.high, y.high)])]) }) : null,
    marks.map((m) => svg("line", { class: "ideal", x1: at([m, 0])[0], x2: at([m, 0])[0], y1: top, y2: bottom })),
    shown.map((s) => svg("g", { style: { "--hue": s.hue } },
      s.points.length > 1 ? svg("path", { class: "line", d: plotPath(s.points.map(at)), "stroke-dasharray": s.dash || null }) : null,
      s.dots ? s.points.map((p) => svg("circle", { class: "point", cx: at(p)[0].toFixed(1), cy: at(p)[1].toFixed(1), r: (1.6 + 2.6 * Math.sqrt(p[2] ?? 0.2)).toFixed(1) })) : null)),
    svg("text", { x: left + side / 2, y: bottom + 31, "text-anchor": "middle", class: "axis" }, x.words),
    svg("text", { x: -(top + side / 2), y: 10, transform: "rotate(-90)", "text-anchor": "middle", class: "axis" }, y.words), cross,
  ];
  const drawing = svg("svg", { class: "chart", viewBox: `0 0 ${width} ${bottom + 38}`, role: "img", "aria-label": label }, content);
  const leave = () => { cross.setAttribute("visibility", "hidden"); hideTip(); };
  drawing.addEventListener("pointermove", (event) => {
    const box = drawing.getBoundingClientRect();
    const px = ((event.clientX - box.left) / box.width) * width;
    if (px < left - 6 || px > left + side + 6 || !shown.length) { leave(); return; }
    const near = shown.map((s) => [s, s.points.reduce((a, b) => (Math.abs(at(b)[0] - px) < Math.abs(at(a)[0] - px) ? b : a))]);
    const place = at(near[0][1])[0];
    for (const end of ["x1", "x2"]) cross.setAttribute(end, place);
    cross.setAttribute("visibility", "visible");
    showTip([h("div", { class: "tip-title" }, `${x.words} ${(x.tell || x.show)(near[0][1][0])}`),
      ...near.map(([s, p]) => h("div", {}, keyDot(s.hue), ` ${s.name}: ${(s.tell || ((q) => (y.tell || y.show)(q[1])))(p)}`))],
    event.clientX, event.clientY + 8, event.clientY - 8);
  });
  drawing.addEventListener("pointerleave", leave);
  return drawing;
}

const keyDot = (hue) => h("i", { class: "key", style: { "--hue": hue }, "aria-hidden": "true" });

// A drawing with its title, and under it the name of each line with what is said of it.
const chartPanel = (title, drawing, keys) => h("figure", { class: "panel" }, h("figcaption", {}, title), drawing,
  h("div", { class: "panel-figures" }, keys.map(([hue, words]) => h("span", { class: "chip" }, keyDot(hue), words))));

const two = (v) => v.toFixed(2);
const shareOf = (n, all) => (all ? n / all : 0);

// Stated confidence against share right; `curves`: {name: {confidence, accuracy, count}}.
function confidencePanel(title, curves, hueOf, eceOf, words = ["stated confidence", "share right"]) {
  const series = Object.entries(curves).map(([name, c]) => {
    const all = c.count.reduce((a, b) => a + b, 0);
    return { name, hue: hueOf(name), dots: true, points: c.confidence.map((v, i) => [v, c.accuracy[i], shareOf(c.count[i], all)]),
      tell: (p) => `states ${two(p[0])}, right ${two(p[1])}, ${percent(p[2])} of them` };
  });
  const keys = series.map((s) => [s.hue, `${s.name}: ECE ${valueText(eceOf(s.name))}`]);
  return chartPanel(title, plot(`${title}: ${keys.map((k) => k[1]).join(", ")}`, { x: { ...SHARES, words: words[0], tell: two }, y: { ...SHARES, words: words[1] }, series, diagonal: true }), keys);
}
const valueText = (v) => (number(v) === null ? "–" : asNumber(v));

// Stated against reached share of corners within central intervals; `curves`: {name: {level, reached}}.
function intervalPanel(title, curves, hueOf, eceOf) {
  const series = Object.entries(curves).map(([name, c]) => ({ name, hue: hueOf(name), points: c.level.map((v, i) => [v, c.reached[i]]),
    tell: (p) => `${percent(p[1])} within` }));
  const keys = series.map((s) => [s.hue, `${s.name}: ECE ${valueText(eceOf(s.name))}`]);
  return chartPanel(title, plot(`${title}: ${keys.map((k) => k[1]).join(", ")}`,
    { x: { ...SHARES, words: "stated share within", tell: two }, y: { ...SHARES, words: "true share within" }, series, diagonal: true }), keys);
}

// Residual against sigma on logarithmic axes; `curves`: {name: {sigma, residual}}.
function residualPanel(title, curves, hueOf) {
  const values = Object.values(curves).flatMap((c) => [...c.sigma, ...c.residual]).filter((v) => number(v) !== null && v > 0);
  if (!values.length) return chartPanel(title, h("p", { class: "empty" }, "No residual is known."), []);
  const low = Math.min(...values) / 1.3, high = Math.max(...values) * 1.3;
  const axis = { low, high, log: true, ticks: logTicks(low, high), show: (v) => String(v), tell: (v) => `${asPixels(v)} px` };
  const series = Object.entries(curves).map(([name, c]) => ({ name, hue: hueOf(name), dots: true, points: c.sigma.map((v, i) => [v, c.residual[i]]),
    tell: (p) => `states ${asPixels(p[0])} px, errs by ${asPixels(p[1])} px` }));
  return chartPanel(title, plot(`${title}: stated sigma against the true one, in bins of equally many corners`,
    { x: { ...axis, words: "stated sigma, px" }, y: { ...axis, words: "68.27 % of residuals within, px" }, series, diagonal: true }), series.map((s) => [s.hue, s.name]));
}
