// The keyboard.

const help = byId("help");
const HELP = [
  ["j", "k", "next, previous"], ["←", "→", "the same; ↑ ↓ a row"], ["a", "label is wrong (accept the finding)"], ["r", "label is fine (reject the finding)"],
  ["u", "undo, clear the verdict"], ["enter", "large view; esc closes it"], ["1", "…", "4", "in it: all, picture, label, model"],
  ["/", "search by image id; esc leads back to the findings"], ["e", "save the verdicts (export)"], ["?", "this help"],
];

function showHelp() {
  help.append(
    h("div", { class: "help-head" }, h("h2", { id: "help-title" }, "Keys"), h("button", { type: "button", class: "quiet", onclick: () => help.close() }, "Close", key("esc"))),
    h("dl", {}, HELP.map((row) => [h("dt", {}, row.slice(0, -1).map((k) => (k === "…" ? " … " : key(k)))), h("dd", {}, row.at(-1))])),
    h("p", { class: "muted" }, "Verdicts stay in this browser for this list of findings. Save them to a file to hand them on, or to use them with dubio."));
  help.addEventListener("click", (event) => {
    if (event.target === help) help.close();
  });
}

// What an element needs for itself, the page does not take.
function ownKeys(target, pressed) {
  if (target.matches("textarea, select, input:not([type=range]):not([type=radio]):not([type=checkbox])")) return true;
  if (target.matches("input") && pressed.startsWith("Arrow")) return true;
  return (pressed === "Enter" || pressed === " ") && target.closest("button, summary, a, input") !== null;
}

function arrow(by) {
  const inside = wall.contains(document.activeElement) || viewer.open;
  if (inside) go(by);
  return inside;
}

function go(by) {
  if (viewer.open) {
    moveTo(cursor + by, { focus: false });
    drawViewer();
  } else step(by);
}

function judge(verdict) {
  const before = cursor;
  if (viewer.open || wall.contains(document.activeElement)) decideHere(verdict);
  else moveTo(cursor);
  if (viewer.open && cursor !== before) drawViewer();
}

const rowsBy = (sign) => arrow(sign * (viewer.open || !chunks.length ? 1 : columns()));

// A key's deed returns false when the key was not for it.
const KEYS = {
  j: () => go(1),
  k: () => go(-1),
  ArrowRight: () => arrow(1),
  ArrowLeft: () => arrow(-1),
  ArrowDown: () => rowsBy(1),
  ArrowUp: () => rowsBy(-1),
  a: () => judge("accepted"),
  r: () => judge("rejected"),
  u: () => { undo(); drawViewer(); },
  Enter: () => (viewer.open ? viewer.close() : wall.contains(document.activeElement) ? openViewer() : false),
  e: () => { save(); },
  "/": () => {
    if (viewer.open) return false;
    controls.search.focus();
    controls.search.select();
    return true;
  },
  "?": () => help.showModal(),
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || event.isComposing) return;
  if (event.key === "Escape" && event.target.closest("#filters")) {
    if (event.target === controls.search) change({ text: "" });
    moveTo(cursor);
    return;
  }
  if (help.open) {
    if (event.key === "?") help.close();
    return;
  }
  if (ownKeys(event.target, event.key)) return;
  if (viewer.open && event.key >= "1" && event.key <= "4") setLook(LOOKS[event.key - 1]);
  else if (!Object.hasOwn(KEYS, event.key) || KEYS[event.key]() === false) return;
  event.preventDefault();
}
