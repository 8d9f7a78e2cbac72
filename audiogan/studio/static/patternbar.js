// Controls of the pattern: letter, number of steps, page, copy, clear, tempo and swing.

import { element, fill } from "./looks.js";
import { LEAST, LETTERS, MOST, PAGE, emptyPattern, isEmpty, withLength } from "./pattern.js";

const find = (id) => document.getElementById(id);
const clamp = (x, low, high) => Math.min(high, Math.max(low, x));

export class PatternBar {
  /** `studio`: store, pattern, page, turn(page, pattern), say(text). */
  constructor(studio) {
    this.studio = studio;
    this.letters = [...LETTERS].map((letter, i) => {
      const button = element("button", { class: "letter", "aria-pressed": "false", title: `Pattern ${letter}` }, letter);
      button.addEventListener("click", () => studio.turn(0, i));
      return button;
    });
    find("patterns").append(...this.letters);
    this.pages = Array.from({ length: MOST / PAGE }, (_, page) => {
      const button = element("button", { class: "letter", "aria-pressed": "false" }, String(page + 1));
      button.addEventListener("click", () => studio.turn(page));
      return button;
    });
    find("pages-of-steps").append(...this.pages);
    this.wire(studio, studio.store);
  }

  wire(studio, store) {
    find("steps").addEventListener("change", ({ target }) => {
      const steps = clamp(Math.round(target.valueAsNumber) || studio.pattern.steps, LEAST, MOST);
      target.value = steps;
      if (steps !== studio.pattern.steps) store.pattern(withLength(studio.pattern, steps), "number of steps");
    });
    find("copy-to").addEventListener("change", ({ target }) => {
      const to = Number(target.value), from = store.state.pattern;
      target.value = "";
      store.pattern(studio.pattern, `copy of pattern ${LETTERS[from]} to ${LETTERS[to]}`, "", to);
      studio.say(`Pattern ${LETTERS[from]} copied to ${LETTERS[to]}`);
    });
    find("clear").addEventListener("click", () => {
      store.pattern(emptyPattern(studio.pattern.steps), "cleared steps");
      studio.say(`All steps of pattern ${LETTERS[store.state.pattern]} are off`);
    });
    find("tempo").addEventListener("change", ({ target }) => {
      const tempo = clamp(Math.round(target.valueAsNumber) || store.state.tempo, 40, 240);
      target.value = tempo;
      store.change({ tempo }, "tempo", "tempo");
    });
    find("swing").addEventListener("input", ({ target }) => store.change({ swing: target.valueAsNumber }, "swing", "swing"));
  }

  show({ pattern, patterns, tempo, swing }, page) {
    const { steps } = patterns[pattern];
    this.letters.forEach((button, i) => {
      button.setAttribute("aria-pressed", i === pattern);
      button.classList.toggle("filled", !isEmpty(patterns[i]));
      button.setAttribute("aria-label", `Pattern ${LETTERS[i]}${isEmpty(patterns[i]) ? ", empty" : ""}`);
    });
    this.pages.forEach((button, i) => {
      button.hidden = steps <= PAGE || i * PAGE >= steps;
      button.setAttribute("aria-pressed", i === page);
      button.setAttribute("aria-label", `Steps ${i * PAGE + 1} to ${Math.min(steps, (i + 1) * PAGE)}`);
    });
    find("pages-of-steps").hidden = steps <= PAGE;
    if (this.pattern !== pattern) {
      const others = [...LETTERS].flatMap((letter, i) => (i === pattern ? [] : [element("option", { value: i }, `to ${letter}`)]));
      find("copy-to").replaceChildren(element("option", { value: "", disabled: "", hidden: "" }, "Copy"), ...others);
      find("copy-to").value = "";
      this.pattern = pattern;
    }
    find("steps").value = steps;
    find("tempo").value = tempo;
    find("swing").value = swing;
    fill(find("swing"));
    find("swing").nextElementSibling.value = `${swing} %`;
  }

  /** Mark the pattern and the page that sound: {pattern, step}, or null. */
  playing(now) {
    this.letters.forEach((button, i) => button.classList.toggle("now", now?.pattern === i));
    this.pages.forEach((button, i) => button.classList.toggle("now", Boolean(now) && now.pattern === this.pattern && Math.floor(now.step / PAGE) === i));
  }
}
