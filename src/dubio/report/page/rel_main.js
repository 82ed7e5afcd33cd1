// Puts the page together.

function showIntro() {
  const images = DOMAINS.reduce((n, d) => n + (d.corruption || d.pooled ? 0 : d.images || 0), 0);
  byId("meta").append(h("bdi", {}, DATA.title), ` · ${day(DATA.date)} · ${plural(MODELS.length, "model")} · ${plural(DOMAINS.filter((d) => !d.pooled).length, "domain")} · ${plural(images, "image")}`);
  byId("tools").append(themeButton());
  if (!DATA.cells.length) notice("No model was examined on any domain.");
}

// Which models are drawn; one stays.
function showModels() {
  if (MODELS.length < 2) return;
  const bar = byId("models");
  bar.hidden = false;
  const buttons = MODELS.map((model) => h("button", { type: "button", class: "model-switch", onclick: () => {
    const hidden = new Set(view.hidden);
    if (!hidden.delete(model.name)) hidden.add(model.name);
    if (hidden.size < MODELS.length) change({ hidden });
  } }, modelName(model)));
  bar.append(h("span", { class: "muted", id: "models-title" }, "Models"), h("div", { class: "model-switches", role: "group", "aria-labelledby": "models-title" }, buttons));
  always(() => buttons.forEach((b, i) => b.setAttribute("aria-pressed", String(!view.hidden.has(MODELS[i].name)))));
}

function showNavigation() {
  const links = [...document.querySelectorAll("main section[data-nav]")].filter((s) => !s.hidden);
  byId("nav").append(...links.map((s) => h("a", { href: `#${s.id}` }, s.dataset.nav)));
}

function showEnd() {
  showLeftOut(DATA.quarantine);
  const notes = [...new Set(DATA.notes)];
  const list = (title, lines) => (lines.length ? [h("p", { class: "detected" }, title), h("ul", {}, lines.map((text) => h("li", {}, text)))] : null);
  const detected = h("details", { id: "detected" }, h("summary", {}, "What dubio detected"),
    MODELS.map((m) => list(m.name, m.lines || [])), list("Domains", DOMAINS.map((d) => d.line).filter(Boolean)), list("Data", notes));
  showFoot("Labels and images were only read. summary.json beside this page holds all figures, images.parquet those of each image, run.json options and versions.", detected);
}

showIntro();
showModels();
showLead();
showBefore();
showTable();
showHeat();
showDiagrams();
showRisk();
showScores();
showWorst();
showNavigation();
showEnd();
