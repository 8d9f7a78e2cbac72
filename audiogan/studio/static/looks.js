// Names, colours and waveforms that pads, steps and the editor share.

export const label = (recipe) => {
  const names = Object.entries(recipe.classes).sort((a, b) => b[1] - a[1]);
  return names.length ? names[0][0] : "";
};
/** Escape control characters and direction marks in text from models and links, as `printable` in Python does. */
export const visible = (text) =>
  String(text).replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
export const plain = (name) => visible(name).replaceAll("_", " ");
export const percent = (share) => `${Math.round(100 * share)} %`;

/** Return the label of a recipe: the name of its class, or the mixture, for example “kick 70 % · tom 30 %”. */
export function mixture(recipe) {
  const names = Object.entries(recipe.classes).filter(([, weight]) => weight > 0.005).sort((a, b) => b[1] - a[1]);
  const sum = names.reduce((total, [, weight]) => total + weight, 0);
  return names.length < 2 ? plain(names[0]?.[0] ?? "sound")
    : names.map(([name, weight]) => `${plain(name)} ${percent(weight / sum)}`).join(" · ");
}

/** Return "open" or "closed" for the pad of a hi-hat, otherwise an empty text. */
export const hatGroup = ({ recipe }) => (!/hat|hh/i.test(label(recipe)) ? "" : /open|ohh/i.test(label(recipe)) ? "open" : "closed");

/** Return the hue of a recipe in degrees. Each class has a hue; a mixture gets the weighted circular mean. */
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

const AUDIBLE = 0.004; // Smallest amplitude that is drawn (-48 dB).
const tall = (x) => 96 * Math.min(1, Math.abs(x)) ** 0.7 * Math.sign(x); // The exponent below 1 keeps soft parts visible.

/** Draw the waveform of a sound into `<svg><path>`. Each column spans its lowest and highest sample. */
export function draw(svg, buffer, columns) {
  svg.setAttribute("viewBox", `0 0 ${columns} 200`);
  const path = svg.querySelector("path");
  if (!buffer) { path.setAttribute("d", ""); return; }
  const samples = buffer.getChannelData(0), width = samples.length / columns;
  const scale = 1 / (samples.reduce((most, x) => Math.max(most, Math.abs(x)), 0) || 1); // Soft sounds are drawn as high as loud ones.
  let end = samples.length;
  while (end && scale * Math.abs(samples[end - 1]) < AUDIBLE) end--;
  let d = "";
  for (let i = 0; i < columns && i * width < end; i++) {
    let low = 0, high = 0;
    for (let k = Math.floor(i * width); k < Math.floor((i + 1) * width); k++) {
      if (samples[k] < low) low = samples[k];
      else if (samples[k] > high) high = samples[k];
    }
    d += `M${i + 0.5} ${(100 - tall(scale * high)).toFixed(1)}V${(100.4 - tall(scale * low)).toFixed(1)}`;
  }
  path.setAttribute("d", d);
}

/** Colour the track of a slider from its start to its thumb. */
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

/** Move the keyboard focus within a group that has one tab stop. `next(key, index)` returns the index to focus, or undefined. `first` is the index of the first tab stop. */
export function roving(cells, next, first = 0) {
  cells.forEach((cell, i) => {
    cell.tabIndex = i === first ? 0 : -1;
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

/** Return the index that an arrow key leads to on a grid of `columns` and `rows`. */
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
