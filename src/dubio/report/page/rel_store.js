// The data of the page, and what the reader has chosen for all of it.

const DATA = JSON.parse(byId("data").textContent);
const placeOf = (model, domain) => JSON.stringify([model, domain]);
const CELLS = new Map(DATA.cells.map((cell) => [placeOf(cell.model, cell.domain), cell]));
const cellOf = (model, domain) => CELLS.get(placeOf(model.name, domain.name)) || null;
const HUES = 8;
const CALIBRATE = DATA.command === "calibrate";

// The model as it is stays grey beside its calibrated variants.
const MODELS = DATA.models.map((model, index) => ({ ...model, index, before: CALIBRATE && !model.of }));
MODELS.filter((m) => !m.before).forEach((m, n) => { m.hue = `var(--m${n % HUES})`; });
MODELS.filter((m) => m.before).forEach((m) => { m.hue = "var(--before)"; });

const wordsOf = (name) => String(name).replaceAll("_", " ");
// The row that counts the pixels of several domains together: in tables and diagrams, but no place of its own.
const POOLED = "all together";
const BASES = new Set(DATA.domains.filter((d) => d.corruption).map((d) => d.of));
const DOMAINS = DATA.domains.map((domain, index) => ({
  ...domain, index, pooled: domain.pooled ?? domain.name === POOLED,
  short: domain.corruption && BASES.size === 1 ? `${wordsOf(domain.corruption)} ${domain.severity ?? ""}`.trim() : domain.name,
}));
const SOURCE = DOMAINS.find((d) => d.source) || null;

const SCORE_WORDS = {
  max_prob: "largest probability", entropy: "entropy", margin: "margin", max_logit: "largest logit", energy: "energy",
  standardized_max_logit: "standardised logit", knn: "kNN distance", mahalanobis: "Mahalanobis distance",
};
const scoreName = (name) => (Object.hasOwn(SCORE_WORDS, name) ? SCORE_WORDS[name] : wordsOf(name));

// Sentences speak of one model: the first, or the best calibrated one.
function firstLead() {
  const nll = (m) => (SOURCE && cellOf(m, SOURCE)?.metrics.nll) ?? Infinity;
  if (!CALIBRATE || !SOURCE) return MODELS[0] || null;
  return MODELS.reduce((best, m) => (nll(m) < nll(best) ? m : best), MODELS[0]);
}

const view = { hidden: new Set(), lead: firstLead(), score: DATA.scores[0] ?? null };
const drawings = [];
// Draws now, and again whenever a choice for the whole page changes.
function always(draw) {
  drawings.push(draw);
  draw();
}
function change(values) {
  Object.assign(view, values);
  for (const draw of drawings) draw();
}
const shownModels = () => MODELS.filter((m) => !view.hidden.has(m.name));
const judgedDomains = () => DOMAINS.filter((d) => !d.fit);
const ownDomains = () => judgedDomains().filter((d) => !d.pooled);

const number = (value) => (typeof value === "number" && Number.isFinite(value) ? value : null);
const ordered = (rows, valueOf, down) => rows.map((row) => [row, valueOf(row)]).sort(([, u], [, v]) => {
  // what is undefined stands at the end, whichever way
  if (u === null || v === null) return (u === null) - (v === null);
  const order = typeof u === "string" ? u.localeCompare(v) : u - v;
  return down ? -order : order;
}).map(([row]) => row);
const worstFirst = (domains, model) => ordered(domains, (d) => number(model && cellOf(model, d)?.metrics.ece), true);
