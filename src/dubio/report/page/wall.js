// The wall: chunks of cards, filled when they come near the window and emptied when they are far away, so that
// thousands of findings cost no more than some screens of them.

const CHUNK = 24; // a multiple of 1, 2, 3 and 4 columns
const NEAR = "1200px 0px";
let chunks = [];
let rowHeight = 330;
const wall = byId("cards");

const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting) fillChunk(entry.target);
    else emptyChunk(entry.target);
  }
}, { rootMargin: NEAR });

const columns = () => Math.max(getComputedStyle(chunks[0]).gridTemplateColumns.split(" ").length, 1);

function reserve() {
  if (!chunks.length) return;
  const across = columns();
  for (const chunk of chunks) {
    const rows = Math.ceil(Math.min(CHUNK, shown.length - chunk.first) / across);
    chunk.style.minHeight = chunk.childElementCount ? "" : `${rows * rowHeight}px`;
  }
}

function fillChunk(chunk) {
  if (chunk.childElementCount) return;
  const part = shown.slice(chunk.first, chunk.first + CHUNK);
  const actions = { open: openViewer, decide, stand: standOn };
  chunk.append(...part.map((f, i) => makeCard(f, chunk.first + i, actions)));
  chunk.style.minHeight = "";
  markCursor();
  const rows = Math.ceil(part.length / columns());
  const height = chunk.offsetHeight / rows;
  if (Math.abs(height - rowHeight) > 2) {
    rowHeight = height;
    reserve();
  }
}

function emptyChunk(chunk) {
  // the card that has the focus stays, or the keys would be lost
  if (!chunk.childElementCount || chunk.contains(document.activeElement)) return;
  chunk.style.minHeight = `${chunk.offsetHeight}px`;
  chunk.replaceChildren();
}

function drawWall() {
  watcher.disconnect();
  chunks = [];
  wall.replaceChildren();
  wall.style.setProperty("--strip", STRIP);
  if (!shown.length) {
    wall.append(h("div", { class: "empty" }, FINDINGS.length
      ? [h("p", {}, "No place fits these filters."), h("button", { type: "button", onclick: resetView }, "Reset filters")]
      : h("p", {}, "There is nothing to review: no place was suspicious enough to be listed.")));
    return;
  }
  for (let first = 0; first < shown.length; first += CHUNK) {
    const chunk = h("div", { class: "chunk", role: "presentation" });
    chunk.first = first;
    chunks.push(chunk);
  }
  wall.append(...chunks);
  fillChunk(chunks[0]);
  reserve();
  for (const chunk of chunks) watcher.observe(chunk);
}

const cardAt = (place) => {
  const chunk = chunks[Math.floor(place / CHUNK)];
  if (!chunk) return null;
  fillChunk(chunk);
  return chunk.children[place - chunk.first] ?? null;
};

// Only the current card and its buttons are stops of the Tab key; j and k move between cards.
function markCursor() {
  const current = shown[cursor]?.n;
  for (const chunk of chunks) {
    for (const card of chunk.children) {
      const here = card.id === `f${current}`;
      if (here === (card.getAttribute("aria-current") === "true") && card.dataset.stops) continue;
      card.dataset.stops = "set";
      card.setAttribute("aria-current", String(here));
      card.tabIndex = here ? 0 : -1;
      for (const button of card.querySelectorAll("button")) button.tabIndex = here ? 0 : -1;
    }
  }
}

function standOn(f) {
  const place = shown.indexOf(f);
  if (place < 0 || place === cursor) return;
  cursor = place;
  markCursor();
}

function moveTo(place, { focus = true } = {}) {
  if (!shown.length) return;
  cursor = clamp(place, 0, shown.length - 1);
  const card = cardAt(cursor);
  markCursor();
  if (focus) {
    card.focus({ preventScroll: true });
    card.scrollIntoView({ block: "nearest" });
  }
}

// From anywhere on the page the first key leads to the wall; there it moves.
function step(by) {
  moveTo(wall.contains(document.activeElement) || byId("viewer").open ? cursor + by : cursor);
}

function decide(f, verdict) {
  standOn(f);
  setVerdict(f.n, verdict);
}

// A key decides and goes on to the next; a click stays.
function decideHere(verdict) {
  const f = shown[cursor];
  if (!f) return;
  setVerdict(f.n, verdict);
  if (cursor < shown.length - 1) moveTo(cursor + 1, { focus: !byId("viewer").open });
}

function undo() {
  const here = shown[cursor];
  if (here && verdictOf(here.n)) {
    setVerdict(here.n, null);
    return;
  }
  const n = undoLast();
  if (n === null) {
    toast("Nothing to undo");
    return;
  }
  const place = shown.findIndex((f) => f.n === n);
  if (place >= 0) moveTo(place, { focus: !byId("viewer").open });
  toast(`Verdict on #${n} taken back`);
}

function drawProgress() {
  const t = tally();
  const share = (n) => `${(100 * n) / Math.max(t.of, 1)}%`;
  byId("progress").replaceChildren(
    h("span", { class: "progress-words" }, h("b", {}, `${whole(t.reviewed)} of ${whole(t.of)}`), " reviewed"),
    h("span", { class: "progress-bar", "aria-hidden": "true" },
      h("i", { class: "accepted", style: { width: share(t.accepted) } }), h("i", { class: "rejected", style: { width: share(t.rejected) } })),
    h("span", { class: "progress-split" }, `${whole(t.accepted)} wrong, ${whole(t.rejected)} fine`));
}

function showWall() {
  onView(drawWall);
  onVerdict((numbers) => {
    for (const n of numbers) {
      const card = byId(`f${n}`);
      if (card) markCard(card, BY_NUMBER.get(n));
    }
    drawProgress();
  });
  drawProgress();
  drawWall();
  new ResizeObserver(reserve).observe(wall);
}
