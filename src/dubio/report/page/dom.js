// Elements and words. Text only ever enters the page as text nodes: names may hold anything.

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [k, v] of Object.entries(value)) node.style.setProperty(k, v);
    else node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
  return node;
}

const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
const byId = (id) => document.getElementById(id);
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

const NUMBERS = new Intl.NumberFormat("en-US");
const whole = (value) => NUMBERS.format(Math.round(value));
const plural = (n, one, many = `${one}s`) => `${whole(n)} ${n === 1 ? one : many}`;

// A number of errors: nobody needs 0.132 of an error.
const amount = (value) => (value < 0.95 ? (value < 0.05 ? "0" : "< 1") : whole(value));

function percent(share) {
  if (share === null || share === undefined) return "–";
  const value = 100 * share;
  if (value === 0 || value >= 99.95) return `${Math.round(value)}\u00a0%`;
  if (value < 0.1) return "< 0.1\u00a0%";
  return `${value.toFixed(value < 10 || value > 99 ? 1 : 0)}\u00a0%`;
}

function probability(p) {
  if (p > 0.995 && p < 1) return "> 0.99";
  if (p >= 0.1) return p.toFixed(2);
  if (p >= 0.001 || p === 0) return p.toFixed(3);
  return "< 0.001";
}

function day(iso) {
  const date = new Date(iso);
  return isNaN(date) ? iso : new Intl.DateTimeFormat("en-GB", { dateStyle: "medium" }).format(date);
}

// A class: its colour and its name, in its own writing direction.
function chip(index, tag = "span") {
  const item = DATA.palette[index];
  return h(tag, { class: "chip", title: item.name },
    h("i", { class: "swatch", style: { background: `rgb(${item.color.join(" ")})` }, "aria-hidden": "true" }),
    h("bdi", {}, item.name));
}

const key = (text) => h("kbd", {}, text);

let toastTimer = 0;
function toast(text) {
  const box = byId("toast");
  box.textContent = text;
  box.classList.add("on");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => box.classList.remove("on"), 4000);
}

function notice(text) {
  byId("notices").append(h("p", { class: "notice" }, text));
}
