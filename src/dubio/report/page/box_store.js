// The data of a page on detections, and how its figures are written.

const DATA = JSON.parse(byId("data").textContent);
const number = (value) => (typeof value === "number" && Number.isFinite(value) ? value : null);
const ordered = (rows, valueOf, down) => rows.map((row) => [row, valueOf(row)]).sort(([, u], [, v]) => {
  // what is undefined stands at the end, whichever way
  if (u === null || v === null) return (u === null) - (v === null);
  const order = typeof u === "string" ? u.localeCompare(v) : u - v;
  return down ? -order : order;
}).map(([row]) => row);

const asShare = (v) => `${(100 * v).toFixed(1)}\u00a0%`;
const asNumber = (v) => (v === 0 ? "0" : Math.abs(v) < 0.0005 ? "< 0.001" : Math.abs(v) >= 100 ? whole(v) : v.toFixed(Math.abs(v) >= 10 ? 1 : 3));
const asPixels = (v) => (Math.abs(v) >= 100 ? whole(v) : v.toFixed(Math.abs(v) >= 10 ? 1 : 2));
const asSigned = (v) => `${v > 0 ? "+" : v < 0 ? "\u2212" : ""}${Math.abs(v).toFixed(2)}`;
const NO_LESS = "High is good.", NO_MORE = "Low is good.";
const RAW_HUE = "var(--before)", OWN_HUE = "var(--m0)", OTHER_HUE = "var(--m1)";

// A figure, or a dash that says why there is none.
function valueOr(value, show, why = "undefined here") {
  if (number(value) !== null) return h("span", { class: "value" }, show(value));
  return h("span", { class: "none", tabindex: "0", "data-tip": why }, "–", h("span", { class: "hidden" }, ` (${why})`));
}

const endsOf = (ends, show) => (ends?.every((v) => number(v) !== null)
  ? h("small", { class: "ends", "data-tip": "90\u00a0% interval, by drawing images again and again (bootstrap)." }, `${show(ends[0])} – ${show(ends[1])}`) : null);

function showNavigation() {
  const links = [...document.querySelectorAll("main section[data-nav]")].filter((s) => !s.hidden);
  byId("nav").append(...links.map((s) => h("a", { href: `#${s.id}` }, s.dataset.nav)));
}

// Columns: {name, of, show, tip, text, down, cell, ends}; `best`: "low" or "high" marks the best row.
function figureTable(label, columns, rows, { few = 0, of = "rows", start = null } = {}) {
  const body = h("tbody"), fold = folded(few || Infinity, of);
  const best = new Map(columns.filter((c) => c.best).map((c) => {
    const known = rows.map(c.of).filter((v) => v !== null);
    return [c, known.length > 1 ? Math[c.best === "low" ? "min" : "max"](...known) : null];
  }));
  const cell = (c, row) => {
    if (c.cell) return c.cell(row);
    const v = c.of(row);
    const won = v !== null && best.get(c) === v;
    return [won ? h("span", { class: "best-mark", "data-tip": "Best of this column." }, "☆ ") : null,
      valueOr(v, c.show || asNumber, c.why ? c.why(row) : undefined), c.ends ? endsOf(c.ends(row), c.show || asNumber) : null];
  };
  const draw = () => body.replaceChildren(...fold.take(sort.apply(rows)).map((row) => h("tr", {},
    columns.map((c, i) => (i === 0 ? h("th", { scope: "row", class: "sticky" }, cell(c, row)) : h("td", { class: c.text ? "text" : "" }, cell(c, row)))))));
  const sort = sorter(columns, draw, start === null ? null : columns[start]);
  fold.bind(draw);
  draw();
  return h("div", {}, frame(label, h("table", { class: "figures-table" }, h("thead", {}, sort.row), body)), fold.button);
}

// Rows of a name and its figure; `tip` explains.
const factList = (rows) => h("dl", { class: "facts" }, rows.filter(Boolean).map(([name, value, tipText]) =>
  h("div", {}, h("dt", { "data-tip": tipText || null }, name), h("dd", {}, value))));

function showEnds(words) {
  showLeftOut(DATA.quarantine || []);
  const notes = [...new Set(DATA.notes || [])];
  showFoot(words, notes.length ? h("details", { id: "detected" }, h("summary", {}, "What dubio detected"), h("ul", {}, notes.map((text) => h("li", {}, text)))) : null);
}
