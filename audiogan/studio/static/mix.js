// Controls for the level, pan and tune of the chosen pad.

import { element, fill } from "./looks.js";

const find = (id) => document.getElementById(id);
const sign = (x, text) => `${x > 0 ? "+" : x < 0 ? "−" : ""}${text}`;
const side = (x) => (x === 0 ? "C" : `${x < 0 ? "L" : "R"} ${Math.round(100 * Math.abs(x))}`);
const CONTROLS = [
  { name: "level", title: "Level in dB", min: -24, max: 12, step: 0.5, text: (x) => sign(x, Math.abs(x).toFixed(1)), spoken: (x) => `${x} dB` },
  { name: "pan", title: "Position between left and right", min: -1, max: 1, step: 0.05, text: side,
    spoken: (x) => (x === 0 ? "centre" : `${Math.round(100 * Math.abs(x))} % ${x < 0 ? "left" : "right"}`) },
  { name: "tune", title: "Pitch in semitones; a higher sound is also shorter", min: -24, max: 24, step: 0.5, text: (x) => sign(x, Math.abs(x)), spoken: (x) => `${x} semitones` },
];

export class Mix {
  constructor(studio) {
    this.i = 0;
    this.fields = CONTROLS.map((control) => {
      const { name, title, min, max, step } = control;
      const input = element("input", { type: "range", min, max, step, id: `pad-${name}` }), output = element("output", { for: input.id });
      const label = `${name[0].toUpperCase()}${name.slice(1)}`;
      const field = element("div", { class: "field", title: `${title}. Double click: 0` }, element("label", { for: input.id }, label), input, output);
      const set = (value) => studio.store.pad(this.i, { [name]: value }, `${name} of pad ${this.i + 1}`, `${name} ${this.i}`);
      input.addEventListener("input", () => set(input.valueAsNumber));
      input.addEventListener("change", () => studio.hit(this.i));
      field.addEventListener("dblclick", () => set(0));
      find("class-field").before(field);
      return { ...control, input, output };
    });
  }

  show(i, pad) {
    this.i = i;
    for (const { name, input, output, text, spoken } of this.fields) {
      input.value = pad[name];
      output.value = text(pad[name]);
      input.setAttribute("aria-valuetext", spoken(pad[name]));
      fill(input);
    }
  }
}
