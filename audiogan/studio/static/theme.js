// Runs before the page is painted, so that the wrong theme never flashes.
(() => {
  const root = document.documentElement;
  const read = () => { try { return localStorage.getItem("audiogan-theme"); } catch { return null; } };
  const chosen = read();
  if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;
  window.switchTheme = () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("audiogan-theme", root.dataset.theme); } catch { /* Without storage, the choice lasts until the page is closed. */ }
    return root.dataset.theme;
  };
})();
