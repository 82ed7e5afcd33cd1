// Puts the page together.

function showTools() {
  const file = h("input", { type: "file", id: "file", accept: ".json,application/json", class: "hidden", tabindex: "-1", "aria-hidden": "true",
    onchange: () => {
      if (file.files[0]) load(file.files[0]).then(refresh);
      file.value = "";
    } });
  const item = (text, act, id) => h("button", { type: "button", class: "quiet", id, onclick: () => { menu.open = false; act(); } }, text);
  const menu = h("details", { class: "menu" }, h("summary", { "aria-label": "More on verdicts", title: "More on verdicts" }, "⋯"),
    h("div", { class: "menu-in" },
      item("Load verdicts…", () => file.click(), "load"),
      "showSaveFilePicker" in window ? item("Keep a file up to date…", linkFile, "link") : null,
      item("Keys", () => help.showModal(), "keys")));
  addEventListener("pointerdown", (event) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key === "Escape") menu.open = false;
  });
  byId("tools").append(
    h("button", { type: "button", class: "primary", id: "save", title: "Download verdicts.json", onclick: save }, h("span", {}, "Save", h("span", { class: "wide" }, " verdicts")), key("e")), menu,
    h("button", { type: "button", class: "quiet icon", "aria-label": "Keys", title: "Keys", onclick: () => help.showModal() }, "?"), themeButton(), file);
}

showTools();
showIntro();
showFigures();
showClasses();
showTrust();
showImages();
showFilters();
showLegend();
showWall();
showViewer();
showHelp();
showEnd();
if (!FINDINGS.length) for (const id of ["filters", "legend", "hint"]) byId(id).hidden = true;
byId("hint").append(key("j"), key("k"), " move ", key("a"), " wrong ", key("r"), " fine ", key("enter"), " large ", key("?"), " all keys");
if (!storageWorks) notice("This browser keeps nothing for pages from disk: save your verdicts to a file before you close the page.");
document.addEventListener("keydown", onKey);
