// The data set as a whole: figures and the table of classes.

// What is counted, and what the model is asked of it.
const SPEAK = BOXES ? {
  many: "Boxes", title: "Labelled boxes", the: "of the boxes", per: "of boxes", each: "suspicious findings per labelled box", no: "labelled boxes",
  skipped: "without detections", all: "all with detections", agreement: "Boxes confirmed", agreed: "the model sees the same class there (IoU 0.5 or more)",
  columns: [
    { name: "Share", of: (c) => c.pixel_share, hint: "share of all labelled boxes" },
    { name: "Confirmed", of: (c) => c.agreement ?? -1, hint: "share of its boxes where the model sees the same class with an IoU of 0.5 or more" },
  ],
} : {
  many: "Regions", title: "Label regions", the: "of the regions", per: "of regions", each: "suspicious findings per label region", no: "label regions",
  skipped: "without label", all: "all could be read", agreement: "Pixel agreement", agreed: "of the model with the labels",
  columns: [
    { name: "Pixels", of: (c) => c.pixel_share, hint: "share of all pixels" },
    { name: "Agreement", of: (c) => c.agreement ?? -1, hint: "share of its pixels on which the model agrees" },
  ],
};

function figure(label, value, note, extra) {
  return h("div", { class: "figure" },
    h("div", { class: "figure-label" }, label), h("div", { class: "figure-value" }, value),
    extra || null, note ? h("div", { class: "figure-note" }, note) : null);
}

function showFigures() {
  const s = DATA.summary;
  const rated = s.error_rate !== null;
  const left = [
    s.skipped ? `${whole(s.skipped)} ${SPEAK.skipped}` : "", s.quarantined ? `${whole(s.quarantined)} left out` : "",
  ].filter(Boolean).join(", ");
  const used = s.classes.filter((c) => c.regions).length;
  const figures = [
    figure("Images", whole(s.images), left || SPEAK.all),
    figure(SPEAK.title, whole(s.regions), `in ${plural(used, "class", "classes")}; ${whole(s.places)} places examined`),
  ];
  if (s.expected !== null) {
    figures.push(figure("Expected errors", amount(s.expected), `90\u00a0%: ${whole(s.low)} to ${whole(s.high)}, of the kind that the model can point at`));
  }
  if (rated) {
    figures.push(figure("Error rate", percent(s.error_rate),
      `${SPEAK.the}, ${s.error_rate_estimated ? "estimated from the scores" : "given by you"}`));
  }
  figures.push(figure(SPEAK.agreement, percent(s.pixel_agreement), SPEAK.agreed));
  if (s.met_share !== null) figures.push(figure("Planted errors met", percent(s.met_share), "by some candidate; others can't be found"));
  byId("figures").append(...figures);
}

const CLASS_COLUMNS = [
  { name: "Class", of: (c) => c.name.toLowerCase(), text: true },
  { name: SPEAK.many, of: (c) => c.regions },
  ...SPEAK.columns,
  { name: "Suspicious", of: (c) => c.suspicious, hint: `findings with probability ${DATA.suspicious_from} or more` },
  { name: SPEAK.per, of: (c) => c.suspicious / Math.max(c.regions, 1), hint: SPEAK.each },
  { name: "Expected errors", of: (c) => c.expected ?? -1, hint: "with 90 % interval", expected: true },
];

function classRow(c, most, calibrated) {
  const rate = c.regions ? c.suspicious / c.regions : null;
  const pick = () => chooseClass(c.index);
  return h("tr", { class: c.regions ? "" : "unused", "data-class": c.index, onclick: pick },
    h("th", { scope: "row" }, h("button", { type: "button", class: "plain", "aria-label": `Show findings of class ${c.name}` }, chip(c.index))),
    h("td", {}, whole(c.regions)),
    h("td", {}, h("span", { class: "with-bar" }, percent(c.pixel_share), shareBar(c.pixel_share))),
    h("td", {}, h("span", { class: "with-bar" }, percent(c.agreement), shareBar(c.agreement ?? 0))),
    h("td", {}, whole(c.suspicious)),
    h("td", {}, rate === null ? "–" : percent(rate)),
    calibrated && c.expected !== null
      ? h("td", { class: "expected" }, h("span", { class: "with-bar" },
        h("span", {}, amount(c.expected), h("small", {}, ` ${whole(c.low)} – ${whole(c.high)}`)),
        rangeBar(c.expected, c.low, c.high, most)))
      : calibrated ? h("td", {}, "–") : null);
}

function showClasses() {
  const all = DATA.summary.classes;
  const calibrated = DATA.summary.expected !== null;
  const most = Math.max(...all.map((c) => c.high ?? 0), 1);
  const unused = all.filter((c) => !c.regions && !c.suspicious).length;
  const columns = CLASS_COLUMNS.filter((c) => calibrated || !c.expected);
  let sort = { column: columns.find((c) => c.expected) || columns[4], down: true };
  let whether = unused === all.length;
  const body = h("tbody");
  const heads = columns.map((column) => h("th", { scope: "col" },
    h("button", { type: "button", class: "plain", title: column.hint, onclick: () => {
      sort = { column, down: sort.column === column ? !sort.down : !column.text };
      draw();
    } }, column.name)));
  const more = h("button", { type: "button", class: "quiet", onclick: () => { whether = !whether; draw(); } });
  function draw() {
    const rows = all.filter((c) => whether || c.regions || c.suspicious);
    const { column, down } = sort;
    rows.sort((a, b) => {
      const [u, v] = [column.of(a), column.of(b)];
      const order = u < v ? -1 : u > v ? 1 : 0;
      return (down ? -order : order) || b.regions - a.regions;
    });
    body.replaceChildren(...rows.map((c) => classRow(c, most, calibrated)));
    columns.forEach((c, i) => heads[i].setAttribute("aria-sort", c !== column ? "none" : down ? "descending" : "ascending"));
    more.textContent = `${whether ? "Hide classes" : `Show ${plural(unused, "class", "classes")}`} without ${SPEAK.no}`;
  }
  draw();
  byId("classes").append(
    h("div", { class: "table-frame", tabindex: "0", role: "region", "aria-label": "Classes" },
      h("table", { class: "classes" }, h("thead", {}, h("tr", {}, heads)), body)),
    unused && unused < all.length ? more : "");
}

function showIntro() {
  const s = DATA.summary;
  byId("meta").append(h("bdi", {}, DATA.name), ` · ${day(DATA.date)} · ${plural(s.images, "image")} · ${DATA.method}`);
}

function showEnd() {
  showLeftOut(DATA.quarantine);
  // a box whose picture can't be read is examined all the same
  const left = byId("left-out").querySelector("summary");
  if (BOXES && left) left.textContent = `${plural(DATA.quarantine.length, "picture")} can't be read`;
  showFoot("Labels and images were only read. run.json beside this page holds all options and versions; findings.parquet the findings.",
    DATA.notes.length ? h("details", {}, h("summary", {}, "What dubio detected"), h("ul", {}, DATA.notes.map((text) => h("li", {}, text)))) : null);
}
