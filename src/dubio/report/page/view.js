// Which findings are shown, in which order, and where the reviewer stands.

const ALL = Object.freeze({ cls: null, kinds: [], verdict: "all", low: 0, high: 1, text: "", sort: "probability" });
const view = { ...ALL, kinds: new Set() };
let shown = FINDINGS.slice();
let cursor = 0;
const viewListeners = [];
const onView = (listener) => viewListeners.push(listener);

const SORTS = {
  probability: ["Most probable", (a, b) => b.p - a.p || a.n - b.n],
  size: ["Largest", (a, b) => b.size - a.size || a.n - b.n],
  image: ["By image", (a, b) => (a.image < b.image ? -1 : a.image > b.image ? 1 : a.n - b.n)],
};

function fits(f) {
  if (view.cls !== null && f.given !== view.cls && f.proposed !== view.cls) return false;
  if (view.kinds.size && !view.kinds.has(f.kind)) return false;
  if (view.verdict !== "all" && (verdictOf(f.n) ?? "open") !== view.verdict) return false;
  if (f.p < view.low || f.p > view.high) return false;
  return !view.text || f.image.toLowerCase().includes(view.text);
}

const filtered = () =>
  view.cls !== null || view.kinds.size > 0 || view.verdict !== "all" || view.low > 0 || view.high < 1 || view.text !== "";

// The list is made anew when a filter changes, not with every verdict: what was just judged stays in place.
function refresh() {
  const stood = shown[cursor]?.n;
  shown = FINDINGS.filter(fits).sort(SORTS[view.sort][1]);
  cursor = Math.max(shown.findIndex((f) => f.n === stood), 0);
  for (const listener of viewListeners) listener();
}

function change(values) {
  Object.assign(view, values);
  refresh();
}

function resetView() {
  change({ ...ALL, kinds: new Set(), sort: view.sort });
}

// Probabilities crowd near 0 or 1: the slider moves along their log odds, from the least to the greatest.
const SCALE = (() => {
  const odds = (p) => Math.log(clamp(p, 1e-6, 1 - 1e-6) / (1 - clamp(p, 1e-6, 1 - 1e-6)));
  let low = Infinity, high = -Infinity;
  for (const f of FINDINGS) {
    low = Math.min(low, odds(f.p));
    high = Math.max(high, odds(f.p));
  }
  if (!(high > low)) return null;
  const steps = 200;
  return {
    steps,
    at: (p) => ((odds(p) - low) / (high - low)) * steps,
    value: (step) => 1 / (1 + Math.exp(-(low + (step / steps) * (high - low)))),
  };
})();
