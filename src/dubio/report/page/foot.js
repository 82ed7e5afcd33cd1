// The end of a page: what was left out, and how the run was made.

function showLeftOut(rows) {
  if (!rows.length) return;
  const box = byId("left-out");
  box.hidden = false;
  box.append(h("details", {},
    h("summary", {}, `${plural(rows.length, "image")} left out`),
    h("dl", { class: "reasons" }, rows.map(([name, why]) => [h("dt", {}, h("bdi", {}, name)), h("dd", {}, why)]))));
}

function showFoot(words, detected) {
  const { version, options, command } = DATA.footer;
  fill(byId("foot"), {}, [
    h("p", {}, `Made with dubio ${version}. ${words}`),
    detected,
    options.length ? h("details", {}, h("summary", {}, "Options"),
      h("dl", { class: "options" }, options.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]))) : null,
    command ? h("details", {}, h("summary", {}, "How to make this run again"), h("pre", { tabindex: "0" }, command)) : null,
  ]);
}
