// Grid of steps with sixteen rows, one per pad.

import { arrow, element, hue, roving, visible } from "./looks.js";
import { STEPS } from "./sequencer.js";

const WORDS = ["off", "on", "accent"];

export class StepGrid {
  /** `on`: set(pad, step, value), hit(pad). */
  constructor(root, labels, on) {
    Object.assign(this, { root, labels, on, value: null });
    this.rows = Array.from({ length: 16 }, (_, pad) => this.row(pad));
    this.head = element("i", { class: "playhead", "aria-hidden": "true" });
    root.replaceChildren(...this.rows.map((row) => row.box), this.head);
    roving(this.rows.flatMap((row) => row.cells), (key, i) => arrow(key, i, STEPS, 16));
    root.addEventListener("pointerover", (event) => {
      const cell = event.target.closest?.(".cell");
      if (cell && this.value !== null && event.buttons & 1) this.paint(cell, this.value);
    });
    addEventListener("pointerup", () => { this.value = null; });
    addEventListener("pointercancel", () => { this.value = null; });
  }

  row(pad) {
    const name = element("button", { class: "row-name", tabindex: "-1" });
    name.addEventListener("click", () => this.on.hit(pad));
    const cells = Array.from({ length: STEPS }, (_, step) => this.cell(pad, step));
    const header = element("div", { role: "rowheader" }, name);
    return { box: element("div", { class: "row hue", role: "row", "aria-rowindex": pad + 1 }, header, ...cells), name, cells };
  }

  cell(pad, step) {
    const cell = element("button", {
      class: `cell${step % 4 ? "" : " beat"}`, role: "gridcell", "aria-colindex": step + 2,
      "data-pad": pad, "data-step": step, "data-value": 0,
    });
    cell.style.gridColumn = 2 + step + Math.floor(step / 4); // A narrow column separates the beats.
    cell.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      cell.releasePointerCapture?.(event.pointerId); // Released, so that dragging a finger sets several steps.
      const now = Number(cell.dataset.value);
      this.value = event.shiftKey ? (now === 2 ? 1 : 2) : (now + 1) % 3;
      this.paint(cell, this.value);
    });
    cell.addEventListener("click", (event) => {
      if (event.detail === 0) this.paint(cell, (Number(cell.dataset.value) + 1) % 3);
    });
    cell.addEventListener("keydown", (event) => {
      if (event.key === "Delete" || event.key === "Backspace") this.paint(cell, 0);
    });
    return cell;
  }

  paint(cell, value) {
    if (Number(cell.dataset.value) !== value) this.on.set(Number(cell.dataset.pad), Number(cell.dataset.step), value);
  }

  show(pads, grid, before) {
    this.rows.forEach(({ box, name, cells }, i) => {
      if (before && before.pads[i] === pads[i] && before.grid[i] === grid[i]) return;
      const text = visible(pads[i].name);
      box.style.setProperty("--h", hue(pads[i].recipe, this.labels));
      name.textContent = text;
      name.setAttribute("aria-label", `Play pad ${i + 1}, ${text}`);
      cells.forEach((cell, step) => {
        cell.dataset.value = grid[i][step];
        cell.setAttribute("aria-label", `${text}, pad ${i + 1}, step ${step + 1}: ${WORDS[grid[i][step]]}`);
      });
    });
  }

  /** Show the current step of the loop. null if it is stopped. */
  at(step) {
    this.head.hidden = step === null;
    if (step === null) return;
    const { offsetLeft, offsetWidth } = this.rows[0].cells[step];
    Object.assign(this.head.style, { left: `${offsetLeft - 3}px`, width: `${offsetWidth + 6}px` });
  }
}
