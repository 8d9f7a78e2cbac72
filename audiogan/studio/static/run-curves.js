// Curves of a run. The server draws them as in the report. This module updates them without flicker and adds a shared cursor.

import { element } from "./looks.js";

const SECTIONS = { measured: "Measured", training: "Training", monitors: "Monitors" };
const shown = (value) => (Math.abs(value) >= 1e5 || (value && Math.abs(value) < 1e-3)
  ? value.toExponential(2) : String(+value.toPrecision(4)));

/** Return the index of the number nearest to a value in an ascending array. */
function nearest(numbers, wanted) {
  let low = 0, high = numbers.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] < wanted) low = middle + 1; else high = middle;
  }
  return low && wanted - numbers[low - 1] < numbers[low] - wanted ? low - 1 : low;
}

export class Curves {
  constructor(root, hint) {
    Object.assign(this, { root, words: hint });
    root.addEventListener("pointermove", (event) => this.point(event));
    root.addEventListener("pointerleave", () => this.at(null));
    root.addEventListener("keydown", (event) => this.key(event));
    root.addEventListener("focusout", () => this.at(null));
    this.clear();
  }

  clear() {
    this.plots = new Map(); // title -> {figure, points, last: [text]}
    this.step = null;
    this.root.replaceChildren();
    this.words.textContent = "";
  }

  update({ figures, each }) {
    this.each = each;
    const old = this.plots;
    this.plots = new Map(figures.map((one) => [one.title, this.place(one, old.get(one.title))]));
    for (const [name, title] of Object.entries(SECTIONS)) {
      const here = figures.filter((one) => one.section === name).map((one) => this.plots.get(one.title).figure);
      let part = this.root.querySelector(`[data-section="${name}"]`);
      if (!here.length) { part?.remove(); continue; }
      if (!part) {
        part = element("div", { "data-section": name }, element("h3", {}, title), element("div", { class: "curves" }));
        const after = Object.keys(SECTIONS).slice(Object.keys(SECTIONS).indexOf(name) + 1);
        this.root.insertBefore(part, after.map((n) => this.root.querySelector(`[data-section="${n}"]`)).find(Boolean) ?? null);
      }
      const box = part.lastChild;
      if (here.length !== box.childElementCount || here.some((figure, i) => figure !== box.children[i])) box.replaceChildren(...here);
    }
    this.at(this.step);
  }

  /** Create or update a figure. An existing figure keeps its position and its focus. */
  place({ title, html, points }, known) {
    const holder = document.createElement("template");
    holder.innerHTML = html;
    const drawn = holder.content.firstElementChild;
    const figure = known?.figure ?? element("figure", { class: "plot", tabindex: "0" });
    const name = drawn.querySelector("strong"), long = name.textContent;
    const [, short, of] = /^(?:monitor\/)?([^/@]+)\/(.*@.*)$/.exec(long) ?? [];
    name.textContent = short?.replaceAll("_", " ") ?? long.replace(/^monitor\//, "").replaceAll("_", " ");
    if (of) name.append(element("span", {}, of));
    name.title = long;
    if (!known) figure.setAttribute("aria-label", `${long} over steps`);
    figure.replaceChildren(...drawn.childNodes);
    const values = [...figure.querySelectorAll("figcaption b")];
    return { figure, points, values, last: values.map((b) => b.textContent) };
  }

  hint({ more, share_read: share, broken }) {
    const words = [];
    if (more) words.push(`Reading the log: ${Math.floor(100 * share)} %.`);
    else if (!this.plots.size) words.push("Nothing is logged yet.");
    else words.push("A line shows the mean of a few steps; the band around it reaches from the smallest to the largest value.");
    if (this.each > 1) words.push(`The log is long: a value is the mean of up to ${this.each.toLocaleString("en")} lines.`);
    if (broken) words.push(`${broken.toLocaleString("en")} ${broken === 1 ? "line" : "lines"} could not be read.`);
    if (this.words.textContent !== words.join(" ")) this.words.textContent = words.join(" ");
  }

  point(event) {
    const figure = event.target.closest("figure"), svg = figure?.querySelector("svg");
    const plot = [...this.plots.values()].find((one) => one.figure === figure);
    if (!plot || !svg) return;
    const box = svg.getBoundingClientRect(), [left, right, width] = plot.points.frame, [from, to] = plot.points.range;
    const share = (((event.clientX - box.left) / box.width) * width - left) / (right - left);
    this.at(from + Math.min(1, Math.max(0, share)) * (to - from));
  }

  key(event) {
    const plot = [...this.plots.values()].find((one) => one.figure === event.target), [steps] = plot?.points.series[0] ?? [];
    if (!steps?.length) return;
    const here = this.step === null ? steps.length : nearest(steps, this.step);
    const to = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: steps.length - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      this.at(steps[Math.min(steps.length - 1, Math.max(0, to))]);
    } else if (event.key === "Escape") this.at(null);
  }

  /** Set the cursor of all figures to a step. null removes it. */
  at(step) {
    if (step === null && this.step === null) return;
    this.step = step;
    for (const { figure, points, values, last } of this.plots.values()) {
      const cursor = figure.querySelector(".cursor"), word = figure.querySelector(".at");
      if (!cursor) continue;
      cursor.classList.toggle("on", step !== null);
      if (step === null) {
        values.forEach((b, i) => { b.textContent = last[i]; });
        word.textContent = "";
        continue;
      }
      let close = step, distance = Infinity;
      points.series.forEach(([steps, means], i) => {
        if (!steps.length) return;
        const best = nearest(steps, step);
        values[i].textContent = shown(means[best]);
        if (Math.abs(steps[best] - step) < distance) [close, distance] = [steps[best], Math.abs(steps[best] - step)];
      });
      const [left, right] = points.frame, [from, to] = points.range;
      const x = left + ((close - from) / (to - from || 1)) * (right - left);
      cursor.setAttribute("x1", x);
      cursor.setAttribute("x2", x);
      word.textContent = `step ${Math.round(close).toLocaleString("en")}`;
    }
  }
}
