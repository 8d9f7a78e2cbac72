// Form of a model: one control for each input that the server describes.

import * as api from "./api.js";
import { element, plain, visible } from "./looks.js";

const AT_RANDOM = "at random";

/** Controls for the inputs of a model. `upload(file)` returns the id of an uploaded sound. `changed` is called after each change. */
export class ApplyForm {
  constructor(root, upload, changed) { Object.assign(this, { root, upload, changed, controls: [] }); }

  /** Show the controls of a model. A control with the name of an earlier control keeps its value. */
  show(fields) {
    const old = new Map(this.controls.map((one) => [one.field.name, one]));
    this.controls = fields.map((field) => this.control(field, old.get(field.name)));
    this.root.replaceChildren(...this.controls.map(({ row }) => row));
    this.root.hidden = !fields.length;
  }

  /** Name of the first required field without a value, or an empty text. */
  get missing() { return this.controls.find(({ field, read }) => field.required && read() === null)?.field.name ?? ""; }

  /** Return {inputs, seed, generator} for the server. */
  values() {
    const wanted = { inputs: {} };
    for (const { field: { name, input, kind }, read } of this.controls) {
      const value = read();
      if (value === null) continue;
      if (!input) wanted[name] = kind === "number" ? Math.round(value) : value;
      else if (kind === "number" && name !== input) wanted.inputs[input] = { ...wanted.inputs[input], [name]: value };
      else wanted.inputs[input] = value;
    }
    return wanted;
  }

  control(field, old) {
    const id = `field-${field.name.replace(/\W/g, "-")}`, name = field.input === "classes" ? "Class" : plain(field.name);
    const made = { choice: () => this.choice(field, id), number: () => this.number(field, id), text: () => this.text(field, id), value: () => this.line(field, id), sound: () => this.sound(field, id) }[field.kind]();
    if (old?.field.kind === field.kind) made.keep?.(old.read());
    const row = element("div", { class: "apply-field" }, element("label", { for: id }, name[0].toUpperCase() + name.slice(1)), ...made.parts);
    if (field.about) {
      row.append(element("small", { id: `${id}-about` }, visible(field.about)));
      made.parts[0].setAttribute("aria-describedby", `${id}-about`);
    }
    return { field, row, read: made.read };
  }

  /** Return a control whose value is a text. An empty text counts as no value. */
  typed(box) {
    box.addEventListener("change", () => this.changed());
    return { parts: [box], read: () => box.value || null, keep: (value) => { box.value = value ?? ""; } };
  }

  choice({ choices, required }, id) {
    const options = choices.map(({ value, title }) => element("option", { value }, plain(title)));
    if (!required) options.push(element("option", { value: "" }, AT_RANDOM));
    const made = this.typed(element("select", { id }, ...options));
    return { ...made, keep: (value) => { if (choices.some((one) => one.value === value)) made.keep(value); } };
  }

  number({ min, max, step, value = "" }, id) {
    const made = this.typed(element("input", { id, type: "number", min, max, step, value, placeholder: AT_RANDOM }));
    return { ...made, read: () => (made.parts[0].value === "" || !made.parts[0].validity.valid ? null : Number(made.parts[0].value)) };
  }

  text({ longest }, id) { return this.typed(element("textarea", { id, rows: 4, maxlength: longest, spellcheck: "true" })); }

  line(field, id) { return this.typed(element("input", { id, type: "text", maxlength: 200, autocomplete: "off" })); }

  sound({ name, required }, id) {
    const input = element("input", { type: "file", hidden: "", tabindex: "-1", "aria-label": name });
    const button = element("button", { id, type: "button" }), remove = element("button", { class: "quiet", type: "button" }, "Remove");
    let sound = null;
    const set = (added) => {
      sound = added;
      button.textContent = added ? visible(added.name) : "Choose a file";
      remove.hidden = !added || required;
    };
    set(null);
    button.addEventListener("click", () => input.click());
    remove.addEventListener("click", () => { set(null); button.focus(); this.changed(); });
    input.addEventListener("change", async () => {
      const [file] = input.files;
      input.value = "";
      const added = file && await this.upload(file);
      if (!added) return;
      set(added);
      this.changed();
    });
    return { parts: [button, remove, input], read: () => sound?.id ?? null };
  }
}

/** Upload a file. If the server cannot decode the format, the browser decodes the file first. Throws an Error if the file is too large. */
export async function uploadSound(file, limits, readable) {
  if (file.size > limits.upload_bytes) throw new Error(`${file.name} is larger than ${Math.round(limits.upload_bytes / 2 ** 20)} MB; use audiogan apply for long recordings`);
  return api.addSound(await readable(file, limits.seconds));
}
