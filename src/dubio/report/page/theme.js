// Runs before the page is drawn, so that a chosen theme does not flash.
(() => {
  let theme = null;
  try {
    theme = localStorage.getItem("dubio:theme");
  } catch {
    // a browser may forbid storage to pages from disk
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
