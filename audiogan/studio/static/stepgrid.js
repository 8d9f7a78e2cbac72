// Grid of steps: sixteen rows, one per pad, and sixteen columns, one per step of the visible page.

import { arrow, element, hue, roving, visible } from "./looks.js";
import { ACCENT, ON, PADS, PAGE } from "./pattern.js";
import { StepGestures, clamped } from "./stepdrag.js";

const WORDS = { 0: "off", [ON]: "on", [ACCENT]: "accent" };
const word = (velocity) => WORDS[velocity] ?? `velocity ${velocity}`;
const HEADS = 3; // Number of buttons before the steps of a row.
const COLUMNS = HEADS + PAGE;
const NUDGE = { "+": 8, "=": 8, "-": -8 };

export class StepGrid {
  /** `on`: set(pad, step, velocity, kind), hit(pad), choose(pad), toggle(pad, "mute" or "solo"), page(index). */
  constructor(root, labels, on) {
    Object.assign(this, { root, labels, on, pattern: null, page: 0, chosenPad: 0, now: null });
    this.rows = Array.from({ length: PADS }, (_, pad) => this.row(pad));
    this.head = element("i", { class: "playhead", "aria-hidden": "true", hidden: "" });
    this.bubble = element("output", { class: "bubble", "aria-hidden": "true", hidden: "" });
    root.replaceChildren(...this.rows.map((row) => row.box), this.head, this.bubble);
    this.stops = this.rows.flatMap(({ name, mute, solo, cells }) => [name, mute, solo, ...cells]);
    roving(this.stops, (key, i) => this.next(key, i), HEADS);
    new StepGestures(root, {
      get: (pad, step) => this.pattern.grid[pad][step], set: on.set, dragging: (cell, velocity) => this.tip(cell, velocity),
    });
    new ResizeObserver(() => this.at(this.now)).observe(root);
  }

  row(pad) {
    const name = element("button", { class: "row-name" });
    name.addEventListener("click", () => { this.on.choose(pad); this.on.hit(pad); });
    const [mute, solo] = ["mute", "solo"].map((kind) => {
      const button = element("button", { class: `switch ${kind}`, "aria-pressed": "false" }, kind[0].toUpperCase());
      button.addEventListener("click", () => this.on.toggle(pad, kind));
      return button;
    });
    const cells = Array.from({ length: PAGE }, (_, column) => this.cell(pad, column));
    const header = element("div", { role: "rowheader", class: "row-head" }, name, mute, solo);
    return { box: element("div", { class: "row hue", role: "row", "aria-rowindex": pad + 1 }, header, ...cells), name, mute, solo, cells };
  }

  cell(pad, column) {
    const cell = element("button", { class: `cell${column % 4 ? "" : " beat"}`, role: "gridcell", "data-pad": pad, "data-value": 0 });
    cell.style.setProperty("--column", 2 + column + Math.floor(column / 4)); // A narrow column separates the beats.
    cell.addEventListener("focus", () => this.on.choose(pad));
    cell.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const step = Number(cell.dataset.step), velocity = this.pattern.grid[pad][step];
      if (event.key === "Delete" || event.key === "Backspace") this.on.set(pad, step, 0, "");
      else if (event.key in NUDGE) this.on.set(pad, step, clamped((velocity || ON) + (velocity ? NUDGE[event.key] : 0)), `velocity ${pad} ${step}`);
    });
    return cell;
  }

  /** Return the button that a key leads to. At the edge of a page, the arrow keys turn the page. */
  next(key, i) {
    const column = (i % COLUMNS) - HEADS, first = i - column, step = this.page * PAGE + column;
    if (key === "ArrowRight" && column === PAGE - 1 && step + 1 < this.pattern.steps) { this.on.page(this.page + 1); return first; }
    if (key === "ArrowLeft" && column === 0 && this.page) { this.on.page(this.page - 1); return first + PAGE - 1; }
    if (key === "Home") return first;
    const to = key === "End" ? first + Math.min(PAGE, this.pattern.steps - this.page * PAGE) - 1 : arrow(key, i, COLUMNS, PADS);
    return to === undefined || this.stops[to].hidden ? undefined : to;
  }

  /** Show a page of a pattern of the state. */
  show(state, page) {
    const pattern = state.patterns[state.pattern], { pads } = state, turned = page !== this.page || pattern.steps !== this.pattern?.steps;
    const before = this.shown, old = this.pattern;
    Object.assign(this, { pattern, page, shown: pads });
    this.root.setAttribute("aria-colcount", pattern.steps + 1);
    this.root.setAttribute("aria-label", `Steps: ${PADS} pads by ${pattern.steps} steps`);
    this.rows.forEach((row, i) => {
      if (before?.[i] !== pads[i]) this.header(row, i, pads[i]);
      if (turned || before?.[i]?.name !== pads[i].name || old?.grid[i] !== pattern.grid[i]) this.steps(row, i, visible(pads[i].name));
    });
    const solo = pads.some((pad) => pad.solo);
    this.rows.forEach(({ box }, i) => box.classList.toggle("silent", solo ? !pads[i].solo : pads[i].mute));
    this.keepTabStop();
    this.at(this.now);
  }

  /** Move the tab stop to a visible step if its button is hidden. */
  keepTabStop() {
    const stop = this.stops.find((button) => button.tabIndex === 0);
    if (stop.checkVisibility()) return;
    stop.tabIndex = -1;
    this.rows[this.chosenPad].cells[0].tabIndex = 0;
  }

  header({ box, name, mute, solo }, i, pad) {
    const text = visible(pad.name);
    box.style.setProperty("--h", hue(pad.recipe, this.labels));
    name.textContent = text;
    name.setAttribute("aria-label", `Play pad ${i + 1}, ${text}`);
    for (const [button, kind, verb] of [[mute, "mute", "Mute"], [solo, "solo", "Solo"]]) {
      button.setAttribute("aria-pressed", pad[kind]);
      button.setAttribute("aria-label", `${verb} pad ${i + 1}, ${text}`);
      button.title = `${verb} ${text}`;
    }
  }

  steps({ cells }, pad, text) {
    cells.forEach((cell, column) => {
      const step = this.page * PAGE + column, velocity = this.pattern.grid[pad][step];
      cell.hidden = step >= this.pattern.steps;
      cell.dataset.step = step;
      cell.dataset.value = velocity;
      cell.dataset.number = step + 1;
      cell.style.setProperty("--velocity", velocity / 127);
      cell.setAttribute("aria-colindex", step + 2);
      cell.setAttribute("aria-label", `${text}, pad ${pad + 1}, step ${step + 1}: ${word(velocity)}`);
    });
  }

  /** Mark the row of the chosen pad. Small screens show only this row. */
  chosen(pad) {
    this.chosenPad = pad;
    this.rows.forEach(({ box }, i) => box.classList.toggle("chosen", i === pad));
    this.keepTabStop();
    this.at(this.now);
  }

  /** Show the current step of the loop. null if it is stopped or on another pattern. */
  at(step) {
    this.now = step;
    const column = step === null ? -1 : step - this.page * PAGE, visible = column >= 0 && column < PAGE;
    this.head.hidden = !visible;
    if (!visible) return;
    const { offsetLeft, offsetTop, offsetWidth, offsetHeight } = this.rows[this.chosenPad].cells[column];
    const alone = !this.rows[(this.chosenPad + 1) % PADS].box.offsetHeight; // Only the row of the chosen pad is visible.
    Object.assign(this.head.style, {
      left: `${offsetLeft - 3}px`, width: `${offsetWidth + 6}px`,
      top: alone ? `${offsetTop - 3}px` : "", height: alone ? `${offsetHeight + 6}px` : "",
    });
  }

  /** Show the velocity beside a step while it is dragged. */
  tip(cell, velocity) {
    this.bubble.hidden = !cell;
    if (!cell) return;
    this.bubble.value = velocity;
    Object.assign(this.bubble.style, { left: `${cell.offsetLeft + cell.offsetWidth / 2}px`, top: `${cell.offsetTop}px` });
  }
}
