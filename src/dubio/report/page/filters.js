// The bar above the wall.

const controls = {};

function segment(name, value, label, count) {
  const input = h("input", { type: "radio", name, value, onchange: () => change({ verdict: value }) });
  return h("label", { class: "segment" }, input, h("span", {}, label, count));
}

function classSelect() {
  const counts = new Map();
  for (const f of FINDINGS) for (const c of new Set([f.given, f.proposed])) counts.set(c, (counts.get(c) || 0) + 1);
  const options = DATA.palette.map((c, i) => ({ i, name: c.name, n: counts.get(i) || 0 }))
    .filter((o) => o.i < DATA.palette.length - 1 || o.n).sort((a, b) => b.n - a.n || a.i - b.i);
  return h("select", { id: "class-filter", "aria-label": "Class, given or proposed",
    onchange: (e) => change({ cls: e.target.value === "" ? null : Number(e.target.value) }) },
  h("option", { value: "" }, "All classes"),
  options.map((o) => h("option", { value: o.i }, `${o.name} (${o.n})`)));
}

function kindChips() {
  return h("div", { class: "kinds", role: "group", "aria-label": "Kind of error" }, KINDS.map((kind) => {
    const n = FINDINGS.reduce((sum, f) => sum + (f.kind === kind), 0);
    return h("button", { type: "button", class: `kind ${kind}`, "data-kind": kind, "aria-pressed": "false", disabled: n === 0,
      onclick: () => {
        const kinds = new Set(view.kinds);
        if (!kinds.delete(kind)) kinds.add(kind);
        change({ kinds });
      } }, DATA.kinds[kind], h("small", {}, ` ${whole(n)}`));
  }));
}

function probabilityRange() {
  if (!SCALE) return null;
  const counts = new Array(32).fill(0);
  for (const f of FINDINGS) counts[Math.min(Math.floor((SCALE.at(f.p) / SCALE.steps) * 32), 31)] += 1;
  const end = (id, label, value) => h("input", { type: "range", id, min: 0, max: SCALE.steps, step: 1, value, "aria-label": label, oninput: moved });
  const least = end("least", "Least probability", 0);
  const most = end("most", "Greatest probability", SCALE.steps);
  const words = h("output", { class: "range-words", for: "least most" });
  Object.assign(controls, { least, most, words });
  let pending = 0;
  function moved(event) {
    // the ends push, they don't cross
    if (Number(least.value) > Number(most.value)) (event.target === least ? most : least).value = event.target.value;
    cancelAnimationFrame(pending);
    pending = requestAnimationFrame(() => {
      const [a, b] = [Number(least.value), Number(most.value)];
      change({ low: a === 0 ? 0 : SCALE.value(a - 0.5), high: b === SCALE.steps ? 1 : SCALE.value(b + 0.5) });
    });
  }
  return h("div", { class: "probability-filter" },
    h("div", { class: "range-both" }, histogram(counts), h("div", { class: "range-track" }, h("i")), least, most), words);
}

function showFilters() {
  const search = h("input", { type: "search", id: "search", placeholder: "Image id", "aria-label": "Search by image id", autocomplete: "off", spellcheck: "false",
    oninput: (e) => change({ text: e.target.value.trim().toLowerCase() }) });
  const sort = h("select", { id: "sort", "aria-label": "Order", onchange: (e) => change({ sort: e.target.value }) },
    Object.entries(SORTS).map(([name, [label]]) => h("option", { value: name }, label)));
  const reset = h("button", { type: "button", class: "quiet", id: "reset", onclick: resetView }, "Reset");
  const counts = {};
  const names = { all: "All", open: "Open", accepted: "Wrong", rejected: "Fine" };
  const segments = h("fieldset", { class: "segments" }, h("legend", { class: "hidden" }, "Verdict"),
    Object.entries(names).map(([value, label]) => segment("verdict", value, label, (counts[value] = h("small")))));
  const picked = classSelect();
  byId("filters").append(
    h("div", { class: "search-box" }, search, key("/")), picked, segments, probabilityRange() ?? "", sort, reset, kindChips());
  Object.assign(controls, { search, sort, reset, segments, counts, picked });
  onView(drawFilters);
  onVerdict(drawCounts);
  drawFilters();
  drawCounts();
}

function drawFilters() {
  const { search, sort, reset, segments, picked, least, most, words } = controls;
  if (search.value.trim().toLowerCase() !== view.text) search.value = view.text;
  sort.value = view.sort;
  picked.value = view.cls === null ? "" : String(view.cls);
  reset.hidden = !filtered();
  for (const input of segments.querySelectorAll("input")) input.checked = input.value === view.verdict;
  for (const button of byId("filters").querySelectorAll("[data-kind]")) button.setAttribute("aria-pressed", String(view.kinds.has(button.dataset.kind)));
  for (const row of document.querySelectorAll("[data-class]")) row.classList.toggle("picked", Number(row.dataset.class) === view.cls);
  if (least) {
    if (view.low === 0) least.value = 0;
    if (view.high === 1) most.value = SCALE.steps;
    const track = least.parentElement.querySelector(".range-track i");
    track.style.left = `${(100 * least.value) / SCALE.steps}%`;
    track.style.right = `${100 - (100 * most.value) / SCALE.steps}%`;
    words.textContent = `${probability(SCALE.value(Number(least.value)))} – ${probability(SCALE.value(Number(most.value)))}`;
  }
  byId("count").textContent = filtered()
    ? `${whole(shown.length)} of ${whole(FINDINGS.length)}` : whole(FINDINGS.length);
}

function drawCounts() {
  const t = tally();
  const numbers = { all: t.of, open: t.of - t.reviewed, accepted: t.accepted, rejected: t.rejected };
  for (const [value, box] of Object.entries(controls.counts)) box.textContent = ` ${whole(numbers[value])}`;
}

// From the table of classes and from the legend; a second click takes it back.
function chooseClass(index) {
  change({ cls: view.cls === index ? null : index });
  if (view.cls !== null) {
    byId("wall").scrollIntoView({ block: "start" });
    toast(`${plural(shown.length, "finding")} of class ${DATA.palette[index].name}`);
  }
}

function showLegend() {
  const met = new Set(FINDINGS.flatMap((f) => [f.given, f.proposed]));
  const order = DATA.palette.map((_, i) => i).sort((a, b) => met.has(b) - met.has(a) || a - b);
  byId("legend").querySelector(".legend-in").append(...order.map((i) =>
    h("button", { type: "button", class: "plain", "data-class": i, onclick: () => chooseClass(i) }, chip(i))));
}
