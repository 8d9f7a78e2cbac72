// What pads, steps and the editor share: names, colours, drawn waveforms.

export const label = (recipe) => {
  const names = Object.entries(recipe.classes).sort((a, b) => b[1] - a[1]);
  return names.length ? names[0][0] : "";
};
/** Text of a stranger's model or link: control and direction characters are shown as escapes, as `printable` does. */
export const visible = (text) =>
  String(text).replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
export const plain = (name) => visible(name).replaceAll("_", " ");
export const percent = (share) => `${Math.round(100 * share)} %`;

/** Of a mixture “kick 70 % · tom 30 %”, of one class its name. */
export function mixture(recipe) {
  const names = Object.entries(recipe.classes).filter(([, weight]) => weight > 0.005).sort((a, b) => b[1] - a[1]);
  const sum = names.reduce((total, [, weight]) => total + weight, 0);
  return names.length < 2 ? plain(names[0]?.[0] ?? "sound")
    : names.map(([name, weight]) => `${plain(name)} ${percent(weight / sum)}`).join(" · ");
}

/** A hue in degrees for each class; a mixture lies between (on the circle, weighted). */
export function hue(recipe, labels) {
  if (!labels.length) return 35;
  let x = 0, y = 0;
  for (const [name, weight] of Object.entries(recipe.classes)) {
    const angle = (2 * Math.PI * Math.max(0, labels.indexOf(name))) / labels.length;
    x += weight * Math.cos(angle);
    y += weight * Math.sin(angle);
  }
  return Math.round((Math.atan2(y, x) * 180) / Math.PI + 360 + 28) % 360;
}

const AUDIBLE = 0.004; // -48 dB: what is softer is not drawn
const tall = (x) => 96 * Math.min(1, Math.abs(x)) ** 0.7 * Math.sign(x); // soft parts stay visible

/** Draw a sound into `<svg><path>`: the lowest and highest sample of each column. */
export function draw(svg, buffer, columns) {
  svg.setAttribute("viewBox", `0 0 ${columns} 200`);
  const path = svg.querySelector("path");
  if (!buffer) { path.setAttribute("d", ""); return; }
  const samples = buffer.getChannelData(0), width = samples.length / columns;
  let end = samples.length;
  while (end && Math.abs(samples[end - 1]) < AUDIBLE) end--;
  let d = "";
  for (let i = 0; i < columns && i * width < end; i++) {
    let low = 0, high = 0;
    for (let k = Math.floor(i * width); k < Math.floor((i + 1) * width); k++) {
      if (samples[k] < low) low = samples[k];
      else if (samples[k] > high) high = samples[k];
    }
    d += `M${i + 0.5} ${(100 - tall(high)).toFixed(1)}V${(100.4 - tall(low)).toFixed(1)}`;
  }
  path.setAttribute("d", d);
}

/** Colour the track of a slider up to its thumb. */
export function fill(slider) {
  slider.style.setProperty("--at", (slider.value - slider.min) / (slider.max - slider.min));
}

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#${name}`);
  svg.append(use);
  return svg;
}

/** Move the one tab stop of a group: `next(key, index)` gives the index to go to, or undefined. */
export function roving(cells, next) {
  cells.forEach((cell, i) => {
    cell.tabIndex = i ? -1 : 0;
    cell.addEventListener("focus", () => {
      for (const other of cells) other.tabIndex = other === cell ? 0 : -1;
    });
    cell.addEventListener("keydown", (event) => {
      const to = event.ctrlKey || event.metaKey || event.altKey ? undefined : next(event.key, i);
      if (to === undefined || !cells[to]) return;
      event.preventDefault();
      cells[to].focus();
    });
  });
}

/** Where an arrow leads on a board of so many columns and rows. */
export function arrow(key, i, columns, rows) {
  const x = i % columns, y = Math.floor(i / columns);
  if (key === "ArrowLeft" && x > 0) return i - 1;
  if (key === "ArrowRight" && x < columns - 1) return i + 1;
  if (key === "ArrowUp" && y > 0) return i - columns;
  if (key === "ArrowDown" && y < rows - 1) return i + columns;
  if (key === "Home") return y * columns;
  if (key === "End") return y * columns + columns - 1;
  return undefined;
}
