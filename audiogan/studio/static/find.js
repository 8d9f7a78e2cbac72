// Panel *Find*: eight sounds around the sound of the chosen pad. A sound is heard when the pointer or the focus is on it, and
// a click puts it on the pad.

import { json } from "./api.js";
import { dragSound } from "./drag.js";
import { arrow, draw, element, fill, hue, icon, mixture, percent, roving, visible } from "./looks.js";
import { addPanel } from "./panels.js";

const OTHERS = 8;
const CENTRE = 4; // Index of the pad's own sound among the nine tiles.
const GAIN = 0.81; // Gain of a sound, equal to that of a pad that is played by a key.
const COLUMNS = 40;
const REQUEST_DELAY = 250; // Time without changes of the pad after which new sounds are requested, in milliseconds.

const KINDS = {
  around: { title: "Around", hint: "Variations in all directions", amount: { name: "How different", min: 5, max: 100, value: 35, unit: percentOf } },
  similar: { title: "Similar", hint: "The most similar of 256 random sounds" },
  directions: { title: "Directions", hint: "The strongest directions of this class; opposites face each other", amount: { name: "How far", min: 5, max: 40, value: 20, unit: (x) => `${(x / 10).toFixed(1)} σ` } },
};
function percentOf(x) { return percent(x / 100); }

export function connectFind(studio) {
  const panel = new Find(studio);
  document.addEventListener("pad-chosen", () => panel.changed());
  studio.store.listen(() => panel.changed());
}

class Find {
  constructor(studio) {
    Object.assign(this, { studio, kind: "around", seed: 0, pad: -1, centre: null, sounds: [], wanted: 0, timer: 0, chosen: -1 });
    this.root = addPanel("find", "Find", { shown: () => this.changed(), hidden: () => { this.forget(); } });
    this.kinds = Object.entries(KINDS).map(([name, { title }]) => {
      const button = element("button", { class: "tab", "aria-pressed": name === this.kind }, title);
      button.addEventListener("click", () => this.turn(name));
      return button;
    });
    this.slider = element("input", { type: "range", id: "find-amount" });
    this.output = element("output", { for: "find-amount" });
    this.name = element("label", { for: "find-amount" });
    this.slider.addEventListener("input", () => { this.amount(); this.later(); });
    this.field = element("div", { class: "field" }, this.name, this.slider, this.output);
    this.more = element("button", { id: "find-more" }, icon("i-dice"), "Eight others");
    this.more.addEventListener("click", () => { this.seed += 1; this.draw(); });
    this.hint = element("p", { class: "hint", id: "find-hint" });
    this.tiles = Array.from({ length: OTHERS + 1 }, (_, at) => this.tile(at));
    const grid = element("div", { class: "finds", role: "group", "aria-label": "Sounds around that of the pad", "aria-describedby": "find-keys" }, ...this.tiles.map((tile) => tile.button));
    const keys = element("p", { class: "hint", id: "find-keys" }, matchMedia("(hover: none)").matches
      ? "Touch a sound to hear it, and again to keep it on the pad."
      : "Point at a sound to hear it. Click to keep it, or drag it to another pad.");
    this.root.append(
      element("div", { class: "find-head" }, element("div", { class: "tabs", role: "group", "aria-label": "Which sounds" }, ...this.kinds), this.more),
      this.hint, this.field, grid, keys);
    roving(this.tiles.map((tile) => tile.button), (key, i) => arrow(key, i, 3, 3));
    this.turn(this.kind);
  }

  tile(at) {
    const wave = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    wave.setAttribute("class", "wave");
    wave.setAttribute("preserveAspectRatio", "none");
    wave.append(document.createElementNS("http://www.w3.org/2000/svg", "path"));
    const name = element("span", {}), button = element("button", { class: "found hue" }, wave, name);
    button.addEventListener("pointerenter", ({ pointerType, buttons }) => { if (pointerType === "mouse" && !buttons) this.hear(at); });
    button.addEventListener("focus", () => { if (button.matches(":focus-visible")) this.hear(at); });
    button.addEventListener("click", ({ pointerType }) => {
      if (pointerType === "touch" && this.chosen !== at) this.hear(at);
      else this.keep(at);
    });
    dragSound(button, () => ({ recipe: this.sounds[at]?.recipe, what: "found sound" }));
    button.addEventListener("dragstart", (event) => { if (!this.sounds[at]) event.preventDefault(); });
    return { button, wave, name };
  }

  get current() { return this.studio.store.state.pads[this.studio.chosen]; }

  turn(kind) {
    const { amount, hint } = KINDS[kind];
    this.kind = kind;
    this.kinds.forEach((button, i) => button.setAttribute("aria-pressed", Object.keys(KINDS)[i] === kind));
    this.hint.textContent = hint;
    this.field.hidden = !amount;
    this.more.hidden = kind === "directions"; // The directions of a class are always the same.
    if (amount) {
      Object.assign(this.slider, { min: amount.min, max: amount.max });
      this.slider.value = amount.value;
      this.name.textContent = amount.name;
      this.amount();
    }
    if (!this.root.hidden) this.draw();
  }

  amount() {
    this.output.value = KINDS[this.kind].amount.unit(this.slider.valueAsNumber);
    fill(this.slider);
  }

  /** Request new sounds if another pad was chosen, or if its sound is none of those shown. */
  changed() {
    if (this.root.hidden) return;
    const pad = this.studio.chosen, { recipe } = this.current;
    if (pad !== this.pad || !this.sounds.some((sound) => sound?.recipe === recipe)) this.later(pad === this.pad ? REQUEST_DELAY : 0);
    else this.mark();
  }

  later(wait = REQUEST_DELAY) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.draw(), wait);
  }

  forget() {
    clearTimeout(this.timer);
    this.wanted += 1;
    this.pad = -1;
  }

  /** Request eight sounds around the sound of the pad, and show them as they arrive. */
  async draw() {
    clearTimeout(this.timer);
    const wanted = ++this.wanted, { recipe, name } = this.current;
    Object.assign(this, { pad: this.studio.chosen, centre: recipe, chosen: -1 });
    this.show([], name);
    this.root.setAttribute("aria-busy", "true");
    if (this.kind === "directions") this.hint.textContent = "Measuring the directions of this class …";
    const found = await this.studio.attempt(() => this.request(recipe));
    if (wanted !== this.wanted) return;
    this.root.removeAttribute("aria-busy");
    this.hint.textContent = KINDS[this.kind].hint;
    if (found) this.show(found, name);
  }

  async request(recipe) {
    if (this.kind === "similar") {
      const { recipes, distances } = await json("/api/neighbours", { recipe, n: OTHERS, seed: this.seed });
      return recipes.map((one, i) => ({ recipe: one, name: `${mixture(one)} ${distances[i].toFixed(2)}` }));
    }
    if (this.kind === "directions") {
      const { moves } = await json("/api/directions", { recipe, n: OTHERS / 2, amount: this.slider.valueAsNumber / 10 });
      const [there, back] = [0, 1].map((side) => moves.filter((_, i) => i % 2 === side));
      return [...there, ...back.reverse()]; // The two moves along a direction are on opposite sides of the centre.
    }
    const { recipes } = await json("/api/vary", { recipe, amount: this.slider.valueAsNumber / 100, n: OTHERS });
    return recipes.map((one, i) => ({ recipe: one, name: `variation ${i + 1}` }));
  }

  show(found, name) {
    const { labels } = this.studio.model;
    this.sounds = [...found.slice(0, CENTRE), ...Array(Math.max(0, CENTRE - found.length)), { recipe: this.centre, name }, ...found.slice(CENTRE)];
    this.tiles.forEach((tile, at) => {
      const sound = this.sounds[at];
      tile.button.disabled = !sound;
      tile.button.classList.toggle("centre", at === CENTRE);
      tile.name.textContent = sound ? visible(sound.name) : "";
      tile.button.setAttribute("aria-label", sound ? `${at === CENTRE ? "before: " : ""}${visible(sound.name)}` : "no sound yet");
      draw(tile.wave, null, COLUMNS);
      if (sound) this.fetch(tile, sound, labels);
    });
    this.mark();
  }

  async fetch(tile, sound, labels) {
    tile.button.style.setProperty("--h", hue(sound.recipe, labels));
    const wanted = this.wanted, buffer = await this.studio.attempt(() => this.studio.sound(sound.recipe, this.current));
    if (buffer && wanted === this.wanted) draw(tile.wave, buffer, COLUMNS);
  }

  mark() {
    const { recipe } = this.current;
    this.tiles.forEach(({ button }, at) => button.setAttribute("aria-pressed", this.sounds[at]?.recipe === recipe));
  }

  async hear(at) {
    const sound = this.sounds[at], { studio } = this;
    if (!sound) return;
    this.chosen = at;
    const buffer = await studio.attempt(() => studio.sound(sound.recipe, this.current));
    if (!buffer || this.chosen !== at || this.sounds[at] !== sound) return;
    if (studio.context.state !== "running") studio.context.resume();
    studio.voices.play(buffer, studio.context.currentTime, GAIN, "find"); // The previous sound is cut.
    this.tiles[at].button.animate?.([{ "--glow": 1 }, { "--glow": 0 }], { duration: 300 });
  }

  keep(at) {
    const sound = this.sounds[at], i = this.pad;
    if (!sound || sound.recipe === this.current.recipe) { if (sound) this.hear(at); return; }
    this.studio.change(i, sound.recipe, at === CENTRE ? `sound before on pad ${i + 1}` : `found sound on pad ${i + 1}`);
    this.studio.say(at === CENTRE ? `Pad ${i + 1} has its sound from before` : `Kept on pad ${i + 1}: ${sound.name}`);
  }
}
