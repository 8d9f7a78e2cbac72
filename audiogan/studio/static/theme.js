// Runs before the page is painted: a theme chosen earlier must not flash the other one.
(() => {
  const root = document.documentElement;
  const read = () => { try { return localStorage.getItem("audiogan-theme"); } catch { return null; } };
  const chosen = read();
  if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;
  window.switchTheme = () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("audiogan-theme", root.dataset.theme); } catch { /* it lasts for this page then */ }
    return root.dataset.theme;
  };
})();
