// Page Apply: choice of a model and a recording, and playback of the recording before and after.

import * as api from "./api.js";
import { ApplyForm, uploadSound } from "./applyform.js";
import { toBuffer, wav24 } from "./audio.js";
import { Comparison } from "./compare.js";
import { readable } from "./decode.js";
import { element, fill, visible } from "./looks.js";
import { Messages } from "./messages.js";
import { LongTake, Microphone, wavFile } from "./microphone.js";
import { droppedFiles } from "./recordings.js";
import { drawSpectrogram } from "./spectrogram.js";

const KINDS = { shipped: "Models of audiogan", run: "Runs", file: "Files" };
const find = (id) => document.getElementById(id);
const stem = (name) => name.split("/").at(-1).replace(/\.\w{1,5}$/, "").replace(/[^\w.-]+/g, "-") || "sound";

/** Return the duration, sample rate and channels of an AudioBuffer as text. */
function layout({ duration, sampleRate, numberOfChannels: count }) {
  return `${duration.toFixed(2)} s · ${sampleRate / 1000} kHz · ${count === 1 ? "mono" : count === 2 ? "stereo" : `${count} channels`}`;
}

class ApplyPage extends Messages {
  constructor({ models, first, limits }) {
    super();
    Object.assign(this, { models, limits, model: null, sound: null, job: null, made: "" });
    this.comparison = new Comparison(() => this.show());
    this.form = new ApplyForm(find("form"), (file) => this.attempt(() => uploadSound(file, limits, readable)), () => this.ready());
    this.microphone = new Microphone(find("record"), find("record-label"));
    find("source-hint").textContent = `At most ${Math.round(limits.upload_bytes / 2 ** 20)} MB; the first ${limits.seconds} seconds are used. It stays on this machine.`;
    const groups = Object.entries(KINDS).map(([kind, title]) => [title, models.filter((one) => one.kind === kind)]).filter(([, list]) => list.length);
    find("model-choice").append(...groups.map(([title, list]) => element("optgroup", { label: title }, ...list.map(({ id, name }) => element("option", { value: id }, visible(name))))));
    const wanted = decodeURIComponent(location.hash.slice(1));
    find("model-choice").value = models.some(({ id }) => id === wanted) ? wanted : first ?? (models.find(({ id }) => id === "enhance") ?? models[0])?.id ?? "";
    this.connect();
    this.drops();
    this.keys();
    new ResizeObserver(() => { clearTimeout(this.drawing); this.drawing = setTimeout(() => this.draw(), 120); }).observe(find("before"));
  }

  connect() {
    const click = (id, work) => find(id).addEventListener("click", () => this.attempt(work));
    const { comparison } = this;
    click("file", () => find("file-input").click());
    click("record", () => (this.microphone.stop ? this.microphone.stop() : this.record()));
    click("apply", () => this.run());
    click("cancel", () => this.job?.abort());
    click("save", () => this.save());
    click("theme", () => window.switchTheme());
    click("play", () => (comparison.playing ? comparison.stop() : comparison.play()));
    click("loop", () => comparison.repeat(!comparison.loop));
    for (const button of find("switch").children) button.addEventListener("click", () => comparison.hear(button.dataset.hear));
    find("file-input").addEventListener("change", (event) => {
      const [file] = event.target.files;
      if (file) this.attempt(() => this.take(file));
      event.target.value = "";
    });
    find("model-choice").addEventListener("change", () => this.attempt(() => this.choose()));
    find("form").addEventListener("submit", (event) => { event.preventDefault(); if (!find("apply").disabled) this.attempt(() => this.run()); });
    find("position").addEventListener("input", (event) => comparison.seek(Number(event.target.value)));
    for (const picture of document.querySelectorAll(".picture")) {
      picture.addEventListener("pointerdown", (event) => {
        const { left, width } = picture.getBoundingClientRect();
        comparison.seek(((event.clientX - left) / width) * comparison.duration);
      });
    }
  }

  drops() {
    for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());
    addEventListener("dragover", () => find("source").classList.add("over"));
    addEventListener("dragleave", (event) => event.relatedTarget || find("source").classList.remove("over"));
    addEventListener("drop", (event) => {
      find("source").classList.remove("over");
      this.attempt(async () => {
        const [first] = await droppedFiles(event.dataTransfer);
        if (first) await this.take(first.file);
      });
    });
  }

  keys() {
    addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.closest("textarea, select, input:not([type=range])")) return;
      const key = event.key.toLowerCase(), button = key === " " ? find("play") : document.querySelector({ a: "[data-hear=before]", b: "[data-hear=after]" }[key] ?? "#none");
      if (!button || button.disabled || (key === " " && event.target.closest("button, a"))) return;
      event.preventDefault();
      button.click();
    });
  }

  // --- the model and the recording

  /** Load the chosen model and show its form. If a recording was chosen, the model is applied to it. */
  async choose() {
    const id = find("model-choice").value;
    this.job?.abort();
    this.model = null;
    this.ready();
    if (!id) { this.say("There is no model that takes sounds", true); return; }
    this.say("Loading the model …");
    const model = await api.appliedModel(id);
    if (find("model-choice").value !== id) return; // Another model was chosen while this one was loading.
    this.model = model;
    history.replaceState(null, "", `#${encodeURIComponent(id)}`);
    find("about").textContent = visible(model.about || `${model.step.toLocaleString("en")} training steps, ${model.sample_rate / 1000} kHz`);
    find("source").hidden = find("before").hidden = find("switch").hidden = !model.source;
    find("listen-title").textContent = model.source ? "Before and after" : "Sound";
    this.comparison.set("before", model.source && this.sound ? this.sound.buffer : null);
    this.result(null);
    this.form.show(model.fields);
    this.say("");
    this.ready();
    if (this.sound && model.source && !this.form.missing) await this.run();
  }

  /** Upload a recording and apply the model to it. */
  async take(file) {
    this.job?.abort();
    this.say(`Reading ${file.name} …`);
    const sound = await uploadSound(file, this.limits, readable);
    this.sound = { ...sound, buffer: toBuffer(this.comparison.context, await api.soundBytes(sound.id)) };
    this.comparison.stop(0);
    this.result(null);
    this.comparison.set("before", this.model && !this.model.source ? null : this.sound.buffer);
    this.comparison.hear("before");
    find("source-says").textContent = visible(`${sound.name}${sound.note ? `; ${sound.note}` : ""}`);
    this.say("");
    this.draw();
    this.ready();
    if (this.model?.source && !this.form.missing) await this.run();
  }

  async record() {
    const { seconds } = this.limits, take = await this.microphone.record((rate) => new LongTake(rate, seconds), () => this.say(`Recording, at most ${seconds} seconds`));
    await this.take(wavFile(take.samples, take.rate));
  }

  /** Enable the button Apply if all inputs that the model requires have values. */
  ready() {
    const { model } = this, missing = model && this.form.missing;
    find("apply").disabled = !model || Boolean(missing) || (Boolean(model.source) && !this.sound);
  }

  async run() {
    const { model, sound } = this, job = new AbortController(), bar = find("progress");
    this.job?.abort();
    this.job = job;
    find("cancel").hidden = bar.hidden = false;
    bar.value = 0;
    this.say("Working …");
    try {
      const made = await api.apply({ model: model.id, ...(model.source ? { sound: sound.id } : {}), ...this.form.values() }, (share) => { bar.value = share; }, job.signal);
      const buffer = toBuffer(this.comparison.context, await api.soundBytes(made.sound.id));
      if (this.job !== job) return;
      this.result(buffer);
      this.made = `${stem(model.source ? sound.name : model.name)}${model.source ? `-${stem(model.name)}` : ""}.wav`;
      this.comparison.hear("after");
      const pace = made.seconds / buffer.duration;
      this.say(`Done in ${made.seconds.toFixed(2)} s (${pace.toFixed(2)} × the duration)${made.sound.note ? `; ${made.sound.note}` : ""}`);
    } catch (error) {
      if (this.job === job) this.say(job.signal.aborted ? "Stopped" : error.message, !job.signal.aborted);
    } finally {
      if (this.job === job) {
        this.job = null;
        find("cancel").hidden = bar.hidden = true;
      }
    }
  }

  result(buffer) {
    this.comparison.set("after", buffer);
    find("save").disabled = !buffer;
    this.draw();
  }

  save() {
    const link = element("a", { download: this.made, href: URL.createObjectURL(wav24(this.comparison.sounds.after).blob) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  // --- the page

  /** Show a message and announce it to screen readers. It stays until the next one. */
  say(text, wrong = false) {
    find("says").textContent = visible(text);
    find("says").classList.toggle("wrong", wrong);
  }

  /** Draw both spectrograms with the same frequencies and the same colours. */
  draw() {
    const { sounds, duration } = this.comparison, top = Math.max(0, ...Object.values(sounds).map((sound) => (sound ? sound.sampleRate / 2 : 0)));
    let peak;
    for (const [name, sound] of Object.entries(sounds)) {
      const figure = find(name), canvas = figure.querySelector("canvas");
      figure.classList.toggle("full", Boolean(sound));
      figure.querySelector("figcaption span").textContent = sound ? layout(sound) : "";
      const described = sound ? `${sound.duration.toFixed(1)} seconds, 0 to ${top / 1000} kHz` : name === "before" ? "no recording yet" : "no result yet";
      canvas.setAttribute("aria-label", `Spectrogram ${name}: ${described}`);
      if (!sound || !canvas.clientWidth) { canvas.width = 1; continue; }
      canvas.style.width = `${(100 * sound.duration) / duration}%`;
      peak ??= drawSpectrogram(canvas, sound, top);
      if (name === "after" && sounds.before) drawSpectrogram(canvas, sound, top, peak);
    }
  }

  show() {
    const { comparison } = this, { duration, playing } = comparison;
    find("play").disabled = find("position").disabled = !duration;
    find("play").querySelector("use").setAttribute("href", playing ? "#i-stop" : "#i-play");
    find("play").querySelector("span").textContent = playing ? "Stop" : "Play";
    find("position").max = duration || 1;
    find("loop").setAttribute("aria-pressed", comparison.loop);
    for (const button of find("switch").children) {
      button.disabled = !comparison.sounds[button.dataset.hear];
      button.setAttribute("aria-pressed", comparison.heard === button.dataset.hear);
    }
    for (const name of ["before", "after"]) find(name).classList.toggle("heard", Boolean(comparison.sounds.before && comparison.sounds.after) && comparison.heard === name);
    this.follow();
  }

  /** Move the cursors and the slider to the position of playback, until it ends. */
  follow() {
    cancelAnimationFrame(this.frame);
    const { comparison } = this, { duration, position, loop } = comparison, slider = find("position");
    if (comparison.playing && !loop && position >= duration) { comparison.stop(0); return; }
    slider.value = position;
    fill(slider);
    find("time").textContent = `${position.toFixed(1)} / ${duration.toFixed(1)} s`;
    for (const cursor of document.querySelectorAll(".cursor")) cursor.style.left = `${duration ? (100 * position) / duration : 0}%`;
    if (comparison.playing) this.frame = requestAnimationFrame(() => this.follow());
  }
}

try {
  const page = new ApplyPage(await api.appliedModels());
  await page.attempt(() => page.choose());
  document.body.dataset.ready = "";
} catch (error) {
  find("notice").textContent = visible(`${error.message} Reload the page to try again.`);
  find("notice").hidden = false;
}
