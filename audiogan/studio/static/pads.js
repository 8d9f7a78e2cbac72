// The sixteen pads.

import { arrow, draw, element, hue, icon, mixture, roving, visible } from "./looks.js";

export const PAD_CODES = [
  "Digit1", "Digit2", "Digit3", "Digit4", "KeyQ", "KeyW", "KeyE", "KeyR",
  "KeyA", "KeyS", "KeyD", "KeyF", "KeyZ", "KeyX", "KeyC", "KeyV",
];
const COLUMNS = 44;

/** Return the gain of a click, 0.09 ... 1. It increases towards the upper edge of the pad. */
export function gainOfClick(event, box) {
  const height = Math.min(1, Math.max(0, (box.bottom - event.clientY) / box.height));
  return Math.min(1, 0.3 + 0.8 * height) ** 2;
}

export class Pads {
  /** `on`: hit(i, gain), choose(i), lock(i). */
  constructor(root, labels, on) {
    this.labels = labels;
    this.keys = PAD_CODES.map((code) => code.slice(-1));
    this.pads = PAD_CODES.map((_, i) => this.build(i, on));
    root.replaceChildren(...this.pads.map((pad) => pad.box));
    roving(this.pads.map((pad) => pad.button), (key, i) => arrow(key, i, 4, 4));
    this.localKeys();
  }

  build(i, on) {
    const wave = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    wave.setAttribute("class", "wave");
    wave.setAttribute("preserveAspectRatio", "none");
    wave.append(document.createElementNS("http://www.w3.org/2000/svg", "path"));
    const name = element("span", { class: "name" }), key = element("kbd", {}, this.keys[i]);
    const button = element("button", { class: "hit", id: `pad-${i + 1}` }, wave, key, name);
    const lock = element("button", { class: "lock", tabindex: "-1", "aria-pressed": "false" }, icon("i-open"));
    const bar = element("i", { class: "bar-progress" });
    const box = element("div", { class: "pad hue" }, button, lock, bar);
    button.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      on.choose(i);
      on.hit(i, gainOfClick(event, button.getBoundingClientRect()));
    });
    button.addEventListener("click", (event) => {
      if (event.detail === 0) { on.choose(i); on.hit(i); } // The click comes from Enter, Space or a screen reader.
    });
    button.addEventListener("focus", () => on.choose(i));
    lock.addEventListener("click", () => on.lock(i));
    return { box, button, lock, bar, name, key, wave };
  }

  /** Label the pads with the keys of the user's keyboard layout, if the browser provides it. */
  async localKeys() {
    try {
      const map = await navigator.keyboard.getLayoutMap();
      this.keys = PAD_CODES.map((code) => (map.get(code) ?? code.slice(-1)).toUpperCase());
      this.pads.forEach((pad, i) => { pad.key.textContent = this.keys[i]; });
    } catch { /* The default letters are kept. */ }
  }

  show(i, { name: given, recipe, locked }) {
    const pad = this.pads[i], what = mixture(recipe), name = visible(given);
    pad.box.style.setProperty("--h", hue(recipe, this.labels));
    pad.name.textContent = name;
    pad.box.classList.toggle("locked", locked);
    pad.lock.replaceChildren(icon(locked ? "i-lock" : "i-open"));
    pad.lock.setAttribute("aria-pressed", locked);
    pad.lock.setAttribute("aria-label", `Lock pad ${i + 1}`);
    pad.lock.title = locked ? "Locked: kept in a new kit" : "Lock";
    pad.button.setAttribute("aria-label", `Pad ${i + 1}, ${[name, what].filter((word, at, all) => all.indexOf(word) === at).join(", ")}, key ${this.keys[i]}${locked ? ", locked" : ""}`);
  }

  wave(i, buffer) {
    draw(this.pads[i].wave, buffer, COLUMNS);
    this.pads[i].box.classList.toggle("waiting", !buffer);
  }

  chosen(i) {
    this.pads.forEach((pad, at) => {
      pad.box.classList.toggle("chosen", at === i);
      if (at === i) pad.button.setAttribute("aria-current", "true");
      else pad.button.removeAttribute("aria-current");
    });
  }

  flash(i, strength) {
    this.pads[i].box.animate?.(
      [{ "--glow": Math.min(1, strength) }, { "--glow": 0 }],
      { duration: matchMedia("(prefers-reduced-motion: reduce)").matches ? 80 : 320, easing: "cubic-bezier(.2,.6,.3,1)" },
    );
  }

  /** Show the progress of a task on a pad, 0 ... 1. null hides it. */
  progress(i, share) {
    const { box, bar } = this.pads[i];
    box.classList.toggle("busy", share !== null);
    bar.style.setProperty("--done", share ?? 0);
  }
}
