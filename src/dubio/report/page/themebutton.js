// Light or dark colours, kept for all pages of dubio in this browser.

function themeButton() {
  const root = document.documentElement;
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const button = h("button", { type: "button", class: "quiet icon", id: "theme", onclick: () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try {
      localStorage.setItem("dubio:theme", root.dataset.theme);
    } catch {
      // the choice lasts as long as the page
    }
    draw();
  } });
  const draw = () => {
    button.setAttribute("aria-label", dark() ? "Light colours" : "Dark colours");
    button.replaceChildren(svg("svg", { viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true" },
      svg("circle", { cx: 8, cy: 8, r: 6, fill: "none", stroke: "currentColor", "stroke-width": 1.5 }),
      svg("path", { d: "M8 2a6 6 0 0 1 0 12z", fill: "currentColor" })));
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
  return button;
}
