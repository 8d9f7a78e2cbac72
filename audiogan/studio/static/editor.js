// Editor of the selected pad: class, knobs, variations, morph to another pad, and imitation of a recording.

import * as api from "./api.js";
import { knobMeaning } from "./knobs.js";
import { Mix } from "./mix.js";
import { draw, element, fill, hue, icon, label, mixture, percent, plain, visible } from "./looks.js";

const MORPH = 17; // Number of sounds of a morph, including both ends.
const COLUMNS = 180;
const find = (id) => document.getElementById(id);

export class Editor {
  /** `studio`: model, store, choose(i), hit(i), change(i, recipe, what, kind), imitate(i, file), attempt(work), lock(i). */
  constructor(studio) {
    Object.assign(this, { studio, i: 0, path: null, mix: new Mix(studio) });
    this.fill();
    this.wire();
  }

  get pad() { return this.studio.store.state.pads[this.i]; }

  fill() {
    const { model } = this.studio;
    find("class").append(...model.labels.map((name) => element("option", { value: name }, plain(name))));
    find("class-field").hidden = !model.labels.length;
    this.knobs = model.knobs.map((name) => {
      const input = element("input", { type: "range", min: 0, max: 100, step: 1, id: `knob-${name}` });
      const output = element("output", { for: input.id });
      const field = element("div", { class: "field" }, element("label", { for: input.id }, plain(name)), input, output);
      input.addEventListener("input", () => {
        const { recipe } = this.pad, knobs = { ...recipe.knobs, [name]: input.valueAsNumber / 100 };
        this.change({ ...recipe, knobs, seed: null }, `${plain(name)} of pad ${this.i + 1}`, `${name} ${this.i}`);
      });
      find("knobs").append(field);
      return { name, input, output, field };
    });
    find("morph").max = MORPH - 1;
  }

  change(recipe, what, kind = "") { this.studio.change(this.i, recipe, what, kind); }

  wire() {
    const { studio } = this;
    find("scope").addEventListener("click", () => studio.hit(this.i));
    find("pad-lock").addEventListener("click", () => studio.lock(this.i));
    find("pad-new").addEventListener("click", () => studio.attempt(() => this.fresh()));
    find("class").addEventListener("change", (event) => {
      if (!event.target.value) return;
      const classes = { [event.target.value]: 1 };
      this.change({ ...this.pad.recipe, classes, seed: null }, `class of pad ${this.i + 1}`);
    });
    find("vary").addEventListener("click", () => studio.attempt(() => this.vary()));
    find("vary-amount").addEventListener("input", () => this.amounts());
    find("morph").addEventListener("input", () => studio.attempt(() => this.morph()));
    find("morph-to").addEventListener("change", () => { this.path = null; find("morph").value = 0; this.amounts(); });
    find("imitate").addEventListener("click", () => find("file").click());
    find("imitate-stop").addEventListener("click", () => studio.searches.forEach((search) => search.abort()));
    find("file").addEventListener("change", (event) => {
      const [file] = event.target.files;
      event.target.value = "";
      if (file) studio.imitate(this.i, file);
    });
    this.amounts();
  }

  async fresh() {
    const i = this.i, name = label(this.pad.recipe);
    const [recipe] = await api.sounds({ n: 1, ...(name ? { label: name } : {}) });
    this.studio.change(i, recipe, `new sound on pad ${i + 1}`);
  }

  async vary() {
    const i = this.i, recipe = await api.vary(this.pad.recipe, find("vary-amount").valueAsNumber / 100);
    this.studio.change(i, recipe, `variation of pad ${i + 1}`);
  }

  /** Handle the morph slider. The recipes of the morph are requested once, when the slider first moves. */
  async morph() {
    const i = this.i, to = Number(find("morph-to").value);
    this.amounts();
    if (!this.path || this.path.i !== i || this.path.to !== to) {
      const path = { i, to, recipes: null };
      this.path = path;
      const { pads } = this.studio.store.state;
      path.recipes = await api.morph(pads[i].recipe, pads[to].recipe, MORPH);
      if (this.path !== path) return;
    }
    if (!this.path.recipes) return; // The request is still running. Its handler reads the position of the slider.
    const recipe = this.path.recipes[find("morph").valueAsNumber];
    if (this.pad.recipe !== recipe) this.change(recipe, `morph of pad ${i + 1} towards pad ${to + 1}`, `morph ${i} ${to}`);
  }

  amounts() {
    find("vary-amount").nextElementSibling.value = `${find("vary-amount").value} %`;
    find("morph").nextElementSibling.value = percent(find("morph").valueAsNumber / (MORPH - 1));
    for (const id of ["vary-amount", "morph"]) fill(find(id));
  }

  show(i) {
    const moved = i !== this.i;
    this.i = i;
    const { recipe, locked } = this.pad, { model, store } = this.studio;
    if (moved || !this.path?.recipes?.includes(recipe)) {
      if (this.path?.recipes || moved) { this.path = null; find("morph").value = 0; }
      this.amounts();
    }
    find("pad-title").textContent = `Pad ${i + 1} · ${visible(this.pad.name)}`;
    document.querySelector(".editor").style.setProperty("--h", hue(recipe, model.labels));
    const lock = find("pad-lock");
    lock.setAttribute("aria-pressed", locked);
    lock.replaceChildren(icon(locked ? "i-lock" : "i-open"));
    this.classes(recipe);
    this.mix.show(i, this.pad);
    for (const { name, input, output, field } of this.knobs) {
      input.value = Math.round(100 * recipe.knobs[name]);
      output.value = input.value;
      fill(input);
      const { short, long } = knobMeaning(name, recipe.knobs[name], model.knob_scales?.[name]);
      input.setAttribute("aria-valuetext", [`${input.value} of 100`, short].filter(Boolean).join(", "));
      field.title = long;
    }
    const select = find("morph-to"), chosen = select.value;
    const others = store.state.pads.map((pad, at) => [at, pad]).filter(([at]) => at !== i);
    select.replaceChildren(...others.map(([at, pad]) => element("option", { value: at }, `to ${at + 1} ${visible(pad.name)}`)));
    select.value = chosen !== "" && Number(chosen) !== i ? chosen : String(others[0][0]);
  }

  classes(recipe) {
    const select = find("class"), mixed = Object.values(recipe.classes).filter((weight) => weight > 0).length > 1;
    select.querySelector("option[value='']")?.remove();
    if (mixed) select.prepend(element("option", { value: "" }, mixture(recipe)));
    select.value = mixed ? "" : label(recipe);
  }

  wave(buffer) {
    draw(document.querySelector(".scope .wave"), buffer, COLUMNS);
    const { recipe } = this.pad, seconds = buffer ? `${buffer.duration.toFixed(2)} s` : "";
    find("scope-note").textContent = [mixture(recipe), recipe.seed === null ? "" : `seed ${recipe.seed}`, seconds].filter(Boolean).join(" · ");
  }

  /** Move the playback cursor along the waveform while the sound plays. */
  run(seconds) {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    document.querySelector(".scope .head-line").animate(
      [{ left: "0", opacity: 0.9 }, { left: "100%", opacity: 0.2 }], { duration: 1000 * seconds, easing: "linear" });
  }
}
