// One finding: its picture, what is said of it, and the two verdicts.

const MOST_TILES = Math.max(0, ...FINDINGS.map((f) => f.picture?.tiles ?? 0));
// One shape for all frames; a run without pictures gets a slim line instead.
const STRIP = MOST_TILES ? String((MOST_TILES * (DATA.tile[0] + DATA.tile[2]) - DATA.tile[2]) / DATA.tile[1]) : "14";
const sourceOf = (f) => f.picture.src.split("/").map(encodeURIComponent).join("/");

// Where label and model agree on the class, what they disagree on: first the words, then what stands out.
const OTHERWISE = { location: ["model sees it ", "elsewhere"], duplicate: ["model sees ", "one object"] };

function modelSays(f) {
  const [words, what] = OTHERWISE[f.kind] ?? ["model says ", null];
  return [words, what === null ? chip(f.proposed) : h("b", {}, what)];
}

function sides(f) {
  const [words, what] = modelSays(f);
  return [
    h("span", { class: "said" }, h("em", {}, "label says "), chip(f.given)),
    h("span", { class: "said" }, h("em", {}, h("span", { class: "arrow", "aria-hidden": "true" }, "→ "), words), what),
  ];
}

function altText(f) {
  const [words, what] = OTHERWISE[f.kind] ?? ["model ", DATA.palette[f.proposed].name];
  return `Finding ${f.n}: label ${DATA.palette[f.given].name}, ${words}${what}`;
}

function missing(text) {
  return h("div", { class: "no-picture" }, text);
}

function strip(f, open) {
  if (!f.picture) return missing("No picture of this place");
  const image = h("img", { src: sourceOf(f), alt: altText(f), loading: "lazy", decoding: "async", draggable: "false",
    onerror: () => image.replaceWith(missing(`The picture ${f.picture.src} is not beside this page`)) });
  return h("button", { type: "button", class: "strip", "aria-label": `Large view of finding ${f.n}`, onclick: open }, image);
}

function scoreBar(f) {
  const word = DATA.summary.quality || DATA.summary.expected !== null ? "probability" : "score";
  return h("span", { class: "score", title: `${word} ${f.p}` },
    h("small", {}, word), h("b", {}, probability(f.p)), shareBar(f.p, { strong: true, label: `${word} ${probability(f.p)}` }));
}

function verdictButtons(f, decide) {
  const make = (value, label, letter) => h("button", { type: "button", class: `verdict ${value}`, "data-verdict": value, "aria-keyshortcuts": letter,
    onclick: () => decide(f, verdictOf(f.n) === value ? null : value) }, label, key(letter));
  return h("div", { class: "verdicts", role: "group", "aria-label": `Verdict on finding ${f.n}` },
    make("accepted", "Label is wrong", "a"), make("rejected", "Label is fine", "r"));
}

const kindTag = (f) => h("span", { class: `tag ${f.kind}` }, DATA.kinds[f.kind]);

function facts(f) {
  const [x0, y0, x1, y1] = f.box;
  const title = `box from ${x0}, ${y0} to ${x1}, ${y1} in an image of ${f.of[0]} × ${f.of[1]} pixels`;
  if (BOXES) return h("span", { class: "facts of-box", title }, `${x1 - x0} × ${y1 - y0} px`, h("span", { class: "dot" }, " "), h("span", {}, `at ${x0}, ${y0}`));
  return h("span", { class: "facts" }, `${whole(f.size)} px`, h("span", { class: "dot" }, " · "),
    h("span", { title }, `${x1 - x0} × ${y1 - y0} at ${x0}, ${y0}`));
}

function makeCard(f, place, { open, decide, stand }) {
  const card = h("article", { class: "card", id: `f${f.n}`, tabindex: "-1", "aria-posinset": place + 1, "aria-setsize": shown.length,
    "aria-label": `${f.n}: ${DATA.kinds[f.kind]}, ${altText(f)}`, onfocusin: () => stand(f), onpointerdown: () => stand(f) },
  h("div", { class: "frame" }, strip(f, () => open(f))),
  h("div", { class: f.picture && MOST_TILES < 3 ? "captions two" : "captions" },
    h("span", { class: "image-id", title: f.image }, h("bdi", {}, f.image)), sides(f)),
  h("div", { class: "words" },
    h("div", { class: "why" }, kindTag(f), h("p", { title: f.reason }, f.reason)), scoreBar(f)),
  h("div", { class: "below" }, h("span", { class: "number" }, `#${f.n}`), facts(f), verdictButtons(f, decide)));
  markCard(card, f);
  return card;
}

function markCard(card, f) {
  const verdict = verdictOf(f.n);
  card.dataset.state = verdict || "open";
  for (const button of card.querySelectorAll(".verdict")) button.setAttribute("aria-pressed", String(button.dataset.verdict === verdict));
}
