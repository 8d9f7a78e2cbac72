// Panel *Map*: generated sounds and recordings on a plane, similar ones close together. A click plays a sound, and dragging
// puts it on a pad.

import { json } from "./api.js";
import { toBuffer } from "./audio.js";
import { dragSound, putOnPad } from "./drag.js";
import { element, hue, icon, mixture, plain, roving, visible } from "./looks.js";
import { addPanel } from "./panels.js";
import { addRecordings, chosenFiles, droppedFiles, recordingBytes, recordingFile, recordings } from "./recordings.js";

const COUNT = 240; // Number of generated sounds.
const MAX_DISTANCE = 40; // Largest distance of a click from the point that it plays, in pixels.
const GAIN = 0.81;
const ACROSS_WEIGHT = 2.2; // Weight of the distance at right angles to the direction of an arrow key.
const AXES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export function connectMap(studio) {
  const panel = new SoundMap(studio);
  document.addEventListener("pad-chosen", () => panel.target());
}

class SoundMap {
  constructor(studio) {
    Object.assign(this, { studio, seed: 0, points: [], buttons: [], chosen: null, wanted: 0, heard: new Map(), drawn: false });
    const { labels } = studio.model;
    this.root = addPanel("map", "Map", { shown: () => { if (!this.drawn) this.draw(); } });
    this.label = element("select", { id: "map-class", "aria-label": "Classes on the map" }, element("option", { value: "" }, "All classes"),
      ...labels.map((name) => element("option", { value: name }, plain(name))));
    this.label.hidden = labels.length < 2;
    this.label.addEventListener("change", () => this.draw());
    const others = element("button", { id: "map-more", title: "Other random sounds" }, icon("i-dice"), "Others");
    others.addEventListener("click", () => { this.seed += 1; this.draw(); });
    this.input = element("input", { type: "file", multiple: "", webkitdirectory: "", hidden: "", tabindex: "-1", "aria-label": "Folder with your recordings" });
    const folder = element("button", { id: "map-folder", title: "Show the recordings of a folder on the map" }, "Add my sounds");
    folder.addEventListener("click", () => this.input.click());
    this.input.addEventListener("change", () => {
      const files = chosenFiles(this.input);
      this.input.value = "";
      this.add(files);
    });
    this.plane = element("div", { class: "map", role: "group", "aria-label": "Map of sounds: similar sounds are close together" });
    this.says = element("p", { class: "hint", id: "map-says" });
    this.name = element("p", { class: "map-name", role: "status" }, matchMedia("(hover: none)").matches ? "Touch a point to hear it." : "Click a point to hear it; drag it to a pad.");
    this.put = element("button", { id: "map-put", disabled: "" }, "Put on pad");
    this.put.addEventListener("click", () => studio.attempt(() => putOnPad(studio, studio.chosen, this.sound(this.chosen))));
    this.root.append(element("div", { class: "find-head" }, this.label, folder, others, this.input), this.plane,
      element("div", { class: "map-foot" }, this.name, this.put), this.says);
    this.plane.addEventListener("pointerdown", (event) => this.press(event));
    this.plane.addEventListener("dragover", (event) => event.preventDefault());
    this.plane.addEventListener("drop", (event) => {
      event.preventDefault();
      if (event.dataTransfer.files.length) studio.attempt(async () => this.add(await droppedFiles(event.dataTransfer)));
    });
    this.target();
  }

  // --- content

  async draw() {
    const wanted = ++this.wanted, { studio } = this;
    this.drawn = true;
    this.root.setAttribute("aria-busy", "true");
    this.plane.classList.add("waiting");
    this.says.textContent = "Drawing the map …";
    const done = await studio.attempt(async () => {
      const state = await recordings((text) => { this.says.textContent = text; });
      const label = this.label.value;
      return { state, map: await json("/api/map", { n: COUNT, seed: this.seed, ...(label ? { label } : {}) }) };
    });
    if (wanted !== this.wanted) return;
    this.root.removeAttribute("aria-busy");
    this.plane.classList.remove("waiting");
    this.says.textContent = done ? this.legend(done) : "";
    if (done) this.show(done.map.points);
    else this.drawn = false;
  }

  legend({ state, map: { points } }) {
    const own = points.filter(({ recording }) => recording).length;
    const problems = state.skipped.length ? `; not read: ${state.skipped[0]}` : "";
    return `${points.length - own} generated sounds (dots)${own ? `, ${own} recordings (squares)` : ""}${problems}`;
  }

  async add(files) {
    const { added, problems } = await addRecordings(files, (done, total) => { this.says.textContent = `Adding recordings … ${done} of ${total}`; });
    if (added) await this.draw();
    else this.says.textContent = "";
    this.studio.say([added ? `${added} recordings added` : "", problems.length ? `${problems.length} not read: ${problems[0]}` : ""].filter(Boolean).join("; "), !added);
  }

  show(points) {
    this.points = points;
    this.choose(null);
    this.buttons = points.map((point) => this.point(point));
    this.plane.replaceChildren(...this.buttons);
    roving(this.buttons, (key, i) => this.next(key, i));
  }

  title({ recipe, recording }) {
    if (!recording) return recipe.seed === null ? mixture(recipe) : `${mixture(recipe)}, seed ${recipe.seed}`;
    return `recording ${visible(recording.name)}`;
  }

  point(point) {
    const { labels } = this.studio.model, { recording } = point;
    const button = element("button", { class: `point hue${recording ? " own" : ""}`, "aria-label": this.title(point) });
    button.style.left = `${(2 + 96 * point.x).toFixed(2)}%`;
    button.style.top = `${(2 + 96 * point.y).toFixed(2)}%`;
    if (!recording || recording.label) button.style.setProperty("--h", hue(recording ? { classes: { [recording.label]: 1 } } : point.recipe, labels));
    else button.classList.add("plain");
    button.addEventListener("focus", () => { if (button.matches(":focus-visible")) this.hear(point); });
    button.addEventListener("click", ({ detail }) => {
      if (detail === 0) this.hear(point); // The click comes from a key or a screen reader. Clicks of a pointer are handled by `press`.
    });
    button.addEventListener("dblclick", () => this.put.click());
    dragSound(button, () => this.sound(point));
    return button;
  }

  /** Return what a point puts on a pad: its recipe, or a recording to imitate. */
  sound({ recipe, recording }) {
    return recording ? { file: () => recordingFile(recording), what: "imitation" } : { recipe, what: "sound of the map" };
  }

  // --- playing

  /** Play the point that is nearest to the pointer. */
  press(event) {
    if (event.button) return;
    const box = this.plane.getBoundingClientRect();
    let best = MAX_DISTANCE, near = -1;
    this.buttons.forEach((button, i) => {
      const far = Math.hypot(box.left + (button.offsetLeft + button.offsetWidth / 2) - event.clientX, box.top + (button.offsetTop + button.offsetHeight / 2) - event.clientY);
      if (far < best) [best, near] = [far, i];
    });
    if (near >= 0) this.hear(this.points[near]);
  }

  async hear(point) {
    const { studio } = this;
    this.choose(point);
    const buffer = await studio.attempt(() => (point.recording ? this.recording(point.recording) : studio.sound(point.recipe)));
    if (!buffer || this.chosen !== point) return;
    if (studio.context.state !== "running") studio.context.resume();
    studio.voices.play(buffer, studio.context.currentTime, GAIN, "map");
    this.buttons[this.points.indexOf(point)]?.animate?.([{ scale: 1.9 }, { scale: 1 }], { duration: 260, easing: "ease-out" });
  }

  async recording({ id }) {
    if (!this.heard.has(id)) this.heard.set(id, toBuffer(this.studio.context, await recordingBytes(id)));
    return this.heard.get(id);
  }

  choose(point) {
    this.chosen = point;
    this.points.forEach((one, i) => this.buttons[i]?.classList.toggle("chosen", one === point));
    this.put.disabled = !point;
    if (point) this.name.textContent = this.title(point);
    this.target();
  }

  target() { this.put.textContent = `${this.chosen?.recording ? "Imitate" : "Put"} on pad ${this.studio.chosen + 1}`; }

  /** Return the point that an arrow key leads to: the nearest one in its direction. */
  next(key, i) {
    const axis = AXES[key], from = this.points[i];
    if (!axis) return key === "Home" ? 0 : key === "End" ? this.points.length - 1 : undefined;
    let best = Infinity, found;
    this.points.forEach(({ x, y }, at) => {
      const ahead = (x - from.x) * axis[0] + (y - from.y) * axis[1], across = Math.abs((x - from.x) * axis[1]) + Math.abs((y - from.y) * axis[0]);
      const far = ahead + ACROSS_WEIGHT * across;
      if (ahead > 1e-6 && across < 2 * ahead && far < best) [best, found] = [far, at];
    });
    return found;
  }
}
