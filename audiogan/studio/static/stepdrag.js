// Gestures on steps. A click or tap cycles through off, on and accent. With a mouse, dragging sideways sets several steps
// and dragging up or down sets the velocity. With a finger, only a long press starts to set the velocity, because other
// movements scroll the page.

import { ACCENT, ON } from "./pattern.js";

const DRAG_DISTANCE = 5; // Distance in pixels at which a drag begins.
const SCROLL_DISTANCE = 10; // Movement of a finger in pixels after which a press is a scroll.
const LONG_PRESS = 350; // Duration of a long press in milliseconds.

export const cycled = (velocity) => (velocity === 0 ? ON : velocity < ACCENT ? ACCENT : 0);
export const clamped = (velocity) => Math.max(1, Math.min(127, Math.round(velocity)));
const at = (cell) => [Number(cell.dataset.pad), Number(cell.dataset.step)];

export class StepGestures {
  /** `on`: get(pad, step), set(pad, step, velocity, kind), dragging(cell or null, velocity). */
  constructor(root, on) {
    Object.assign(this, { root, on, drag: null, handled: false, count: 0 });
    root.addEventListener("pointerdown", (event) => this.down(event));
    addEventListener("pointermove", (event) => this.move(event));
    for (const kind of ["pointerup", "pointercancel", "blur"]) addEventListener(kind, () => this.up());
    root.addEventListener("click", (event) => this.click(event));
    root.addEventListener("contextmenu", (event) => this.drag?.touch && event.preventDefault());
    root.addEventListener("touchmove", (event) => this.drag?.mode && event.cancelable && event.preventDefault(), { passive: false });
  }

  set(cell, velocity) {
    if (this.on.get(...at(cell)) !== velocity) this.on.set(...at(cell), velocity, `steps ${this.count}`);
  }

  down(event) {
    this.handled = false;
    const cell = event.target.closest?.(".cell");
    if (!cell || event.button || !event.isPrimary) return;
    this.count += 1;
    const from = this.on.get(...at(cell)), touch = event.pointerType !== "mouse";
    const value = event.shiftKey ? (from === ACCENT ? ON : ACCENT) : cycled(from);
    this.drag = { cell, last: cell, from, value, touch, id: event.pointerId, x: event.clientX, y: event.clientY, mode: "" };
    if (touch) this.timer = setTimeout(() => this.press(), LONG_PRESS);
    else if (!from || event.shiftKey) { this.set(cell, value); this.handled = true; }
  }

  /** Handle a long press: the finger now sets the velocity. */
  press() {
    navigator.vibrate?.(8);
    this.velocity(0);
  }

  move(event) {
    const { drag } = this;
    if (!drag || event.pointerId !== drag.id) return;
    const dx = event.clientX - drag.x, dy = event.clientY - drag.y;
    if (drag.touch && !drag.mode) {
      if (Math.hypot(dx, dy) > SCROLL_DISTANCE) this.up();
      return;
    }
    if (!drag.mode && Math.abs(dy) > DRAG_DISTANCE && Math.abs(dy) > Math.abs(dx)) drag.mode = "velocity";
    if (drag.mode === "velocity") { this.velocity(dy); return; }
    const cell = document.elementFromPoint(event.clientX, event.clientY)?.closest(".cell");
    if (!cell || !this.root.contains(cell) || cell === drag.last) return;
    drag.mode = "paint";
    this.handled = true;
    this.paint(cell);
  }

  /** Set the velocity of the pressed step, one unit per pixel. */
  velocity(dy) {
    const { drag } = this;
    drag.mode = "velocity";
    this.handled = true;
    const velocity = clamped((drag.from || ON) - dy);
    this.set(drag.cell, velocity);
    this.on.dragging(drag.cell, velocity);
  }

  /** Set all steps of a row between the last one and this one. A fast pointer skips steps. */
  paint(cell) {
    const { drag } = this, [pad, step] = at(cell), [before, last] = at(drag.last);
    this.set(drag.cell, drag.value);
    const from = pad === before ? last : step;
    for (let i = Math.min(from, step); i <= Math.max(from, step); i++) {
      const between = this.root.querySelector(`.cell[data-pad="${pad}"][data-step="${i}"]`);
      if (between) this.set(between, drag.value);
    }
    drag.last = cell;
  }

  up() {
    clearTimeout(this.timer);
    this.drag = null;
    this.on.dragging(null, 0);
  }

  click(event) {
    const cell = event.target.closest?.(".cell");
    if (!cell) return;
    if (event.detail === 0) this.count += 1; // The click comes from a key or a screen reader.
    else if (this.handled) return;
    this.set(cell, cycled(this.on.get(...at(cell))));
  }
}
