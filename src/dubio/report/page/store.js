// The data of the page, and the verdicts, kept in this browser under the digest of the findings.

const DATA = JSON.parse(byId("data").textContent);
const FINDINGS = DATA.findings;
const BY_NUMBER = new Map(FINDINGS.map((f) => [f.n, f]));
const KINDS = Object.keys(DATA.kinds);
const BOXES = DATA.unit === "box";
const SHELF = `dubio:verdicts:${DATA.run}`;
const WORDS = { accepted: "Label is wrong", rejected: "Label is fine" };

const verdicts = new Map();
const listeners = [];
const past = [];
let storageWorks = true;

const verdictOf = (n) => verdicts.get(n)?.verdict ?? null;
const onVerdict = (listener) => listeners.push(listener);

function known(entry) {
  return entry && Object.hasOwn(WORDS, entry.verdict) ? { verdict: entry.verdict, time: entry.time || "" } : null;
}

// Verdicts in the data come first; what was decided here, taking one back included, goes over them.
function readShelf() {
  verdicts.clear();
  for (const f of FINDINGS) if (f.verdict) verdicts.set(f.n, { verdict: f.verdict, time: "" });
  let kept = {};
  try {
    kept = JSON.parse(localStorage.getItem(SHELF) || "{}") || {};
  } catch {
    storageWorks = false;
  }
  for (const [name, entry] of Object.entries(kept)) {
    const n = Number(name);
    if (!BY_NUMBER.has(n)) continue;
    const value = known(entry);
    if (value) verdicts.set(n, value);
    else verdicts.delete(n);
  }
}

function writeShelf() {
  const kept = {};
  for (const f of FINDINGS) {
    const entry = verdicts.get(f.n);
    if (entry) kept[f.n] = entry;
    else if (f.verdict) kept[f.n] = null;
  }
  try {
    localStorage.setItem(SHELF, JSON.stringify(kept));
  } catch {
    if (storageWorks) notice("This browser keeps nothing for pages from disk: save your verdicts to a file before you close the page.");
    storageWorks = false;
  }
}

function setVerdict(n, verdict, { remember = true, time = new Date().toISOString() } = {}) {
  const before = verdicts.get(n) ?? null;
  if ((before?.verdict ?? null) === verdict) return false;
  if (remember) past.push({ n, before });
  if (verdict) verdicts.set(n, { verdict, time });
  else verdicts.delete(n);
  writeShelf();
  for (const listener of listeners) listener([n]);
  return true;
}

// Takes back the last decision; returns its finding, or null when there is none.
function undoLast() {
  const last = past.pop();
  if (!last) return null;
  if (last.before) verdicts.set(last.n, last.before);
  else verdicts.delete(last.n);
  writeShelf();
  for (const listener of listeners) listener([last.n]);
  return last.n;
}

function setMany(entries) {
  for (const [n, entry] of entries) verdicts.set(n, entry);
  past.length = 0;
  writeShelf();
  for (const listener of listeners) listener(FINDINGS.map((f) => f.n));
}

function tally() {
  let accepted = 0;
  for (const entry of verdicts.values()) accepted += entry.verdict === "accepted";
  return { accepted, rejected: verdicts.size - accepted, reviewed: verdicts.size, of: FINDINGS.length };
}

// the same report in another tab
addEventListener("storage", (event) => {
  if (event.key !== SHELF) return;
  readShelf();
  for (const listener of listeners) listener(FINDINGS.map((f) => f.n));
});

readShelf();
