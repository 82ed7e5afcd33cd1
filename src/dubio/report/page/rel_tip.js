// Explanations: for what has data-tip, on hover and on focus; and beside the pointer in charts.

const tip = byId("tip");
let tipped = null;

function placeTip(x, y, above = y) {
  const { offsetWidth: width, offsetHeight: height } = tip;
  const left = clamp(x - width / 2, 8, Math.max(innerWidth - width - 8, 8));
  const top = y + 12 + height > innerHeight - 8 ? above - height - 10 : y + 12;
  tip.style.left = `${left}px`;
  tip.style.top = `${Math.max(top, 8)}px`;
}

function showTip(content, x, y, above = y) {
  tip.replaceChildren(...[content].flat());
  tip.hidden = false;
  placeTip(x, y, above);
}

function hideTip() {
  tip.hidden = true;
  tipped?.removeAttribute("aria-describedby");
  tipped = null;
}

function showTipOf(target) {
  const box = target.getBoundingClientRect();
  showTip(target.dataset.tip, box.left + box.width / 2, box.bottom - 4, box.top + 4);
}

function tipFor(event) {
  const target = event.target.closest?.("[data-tip]");
  if (!target) {
    if (tipped && event.type === "pointerover") hideTip();
    return;
  }
  if (tipped && tipped !== target) hideTip();
  tipped = target;
  showTipOf(target);
  target.setAttribute("aria-describedby", "tip");
}

document.addEventListener("pointerover", tipFor);
document.addEventListener("focusin", tipFor);
document.addEventListener("focusout", hideTip);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") hideTip();
});
// What is explained may move along, or away from under the pointer.
addEventListener("scroll", () => {
  if (tipped?.matches(":hover, :focus")) showTipOf(tipped);
  else if (tipped) hideTip();
}, { passive: true, capture: true });
