// Page of the blind listening test: choice of recordings, the sounds one after another, and the result.

import * as api from "./api.js";
import { liveContext, toBuffer } from "./audio.js";
import { element, icon, label, percent, plain, visible } from "./looks.js";
import { Messages } from "./messages.js";
import { addRecordings, chosenFiles, droppedFiles, recordings, removeRecordings } from "./recordings.js";

const find = (id) => document.getElementById(id);
const NAMES = { real: "recording", generated: "generated" };
const shares = ({ low, high }) => `${percent(low)} … ${percent(high)}`;

class BlindTest extends Messages {
  constructor(model) {
    super();
    Object.assign(this, { model, context: liveContext(model.sample_rate), id: "", total: 0, at: 0, plays: 0, shown: 0, source: null, result: null, have: [] });
    find("label").append(...model.labels.map((name) => element("option", { value: name }, `of the class ${plain(name)}`)));
    const click = (id, work) => find(id).addEventListener("click", () => this.attempt(work));
    click("start", () => this.start());
    click("listen", () => this.play());
    click("real", () => this.answer("real"));
    click("generated", () => this.answer("generated"));
    click("end", () => this.finish());
    click("again", () => this.setup());
    click("save", () => this.save());
    click("remove", async () => { await removeRecordings(); await this.look(); });
    click("theme", () => window.switchTheme());
    for (const kind of ["folder", "files"]) {
      const input = find(`${kind}-input`);
      find(kind).addEventListener("click", () => input.click());
      input.addEventListener("change", () => {
        const files = chosenFiles(input);
        input.value = "";
        this.attempt(() => this.add(files));
      });
    }
    this.drops();
    this.keys();
  }

  drops() {
    for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());
    addEventListener("dragover", () => find("source").classList.add("over"));
    addEventListener("dragleave", (event) => event.relatedTarget || find("source").classList.remove("over"));
    addEventListener("drop", (event) => {
      find("source").classList.remove("over");
      if (!find("setup").hidden) this.attempt(async () => this.add(await droppedFiles(event.dataTransfer)));
    });
  }

  keys() {
    addEventListener("keydown", (event) => {
      if (find("trial").hidden || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
      const button = { " ": "listen", r: "real", g: "generated" }[event.key.toLowerCase()];
      if (!button || (event.key === " " && document.activeElement.closest(".answers, #end"))) return;
      event.preventDefault();
      find(button).click();
    });
  }

  // --- recordings

  async look() {
    const state = await recordings((text, share) => this.progress(text, share));
    this.progress("", null);
    this.have = state.recordings;
    const count = this.have.length, from = state.folder ? ` from ${visible(state.folder)}` : "";
    const problems = state.skipped.length ? ` Not read: ${visible(state.skipped[0])}${state.skipped.length > 1 ? " …" : ""}` : "";
    find("source-says").textContent = (count ? `${count} ${count === 1 ? "recording" : "recordings"}${from}.` : "No recordings yet: choose some sounds of your own.") + problems;
    find("remove").hidden = !count;
    find("start").disabled = !count;
    for (const option of find("count").options) option.disabled = Number(option.value) > count;
    if (find("count").selectedOptions[0]?.disabled) find("count").value = [...find("count").options].filter((option) => !option.disabled).at(-1)?.value ?? "10";
    if (count && count < 10) find("source-says").textContent += " A test needs ten at least.";
    find("start").disabled = count < 10;
  }

  progress(text, share) {
    if (text) find("source-says").textContent = text;
    find("source-progress").hidden = share === null;
    find("source-progress").value = share ?? 0;
  }

  async add(files) {
    const { added, problems } = await addRecordings(files, (done, total) => this.progress(`Adding recordings … ${done} of ${total}`, done / total));
    await this.look();
    if (problems.length) this.say(`${added ? `${added} added; ` : ""}${problems.length} not read: ${problems[0]}`, true);
  }

  // --- the test

  setup() {
    this.step("setup");
    return this.look();
  }

  async start() {
    find("start").disabled = true;
    try {
      const wanted = find("label").value;
      const { id, trials } = await api.json("/api/listening", { trials: Number(find("count").value), ...(wanted ? { label: wanted } : {}) });
      Object.assign(this, { id, total: trials, at: 0 });
    } finally {
      find("start").disabled = false;
    }
    this.step("trial");
    await this.trial();
  }

  async sound(trial) {
    const response = await fetch(`/api/listening/${this.id}/${trial}.wav`);
    if (!response.ok) throw new Error(await api.complaint(response));
    return toBuffer(this.context, await response.arrayBuffer());
  }

  async trial() {
    find("trial-title").textContent = `Sound ${this.at + 1} of ${this.total}`;
    Object.assign(find("done"), { max: this.total, value: this.at });
    this.lock(true);
    Object.assign(this, { plays: 0, buffer: await this.sound(this.at), shown: performance.now() });
    this.lock(false);
    find("listen").focus({ preventScroll: true });
    this.play();
  }

  /** Disable the answers while a sound is loading. */
  lock(on) { for (const id of ["real", "generated", "listen"]) find(id).disabled = on; }

  play(buffer = this.buffer) {
    if (this.context.state !== "running") this.context.resume();
    this.source?.stop();
    this.source = new AudioBufferSourceNode(this.context, { buffer });
    this.source.connect(this.context.destination);
    this.source.start();
    this.plays += 1;
    find("listen").animate?.([{ "--glow": 1 }, { "--glow": 0 }], { duration: 400 });
  }

  async answer(answer) {
    this.source?.stop();
    this.lock(true);
    try {
      const seconds = (performance.now() - this.shown) / 1000;
      await api.json(`/api/listening/${this.id}/answers`, { trial: this.at, answer, plays: this.plays, seconds });
      this.at += 1;
    } finally {
      this.lock(false);
    }
    if (this.at === this.total) await this.finish();
    else await this.trial();
  }

  async finish() {
    this.source?.stop();
    if (!this.at) { await this.setup(); return; }
    this.result = await api.json(`/api/listening/${this.id}/result`, {});
    this.step("result");
    this.show(this.result);
    find("result-title").focus();
  }

  // --- the result

  show(result) {
    const { correct, answered, planned, share, interval, p_value } = result;
    find("score").textContent = `${correct} of ${answered} right`;
    find("share").textContent = `${percent(share)}; 95 % interval ${shares(interval)}`;
    const [, mean] = document.querySelectorAll(".interval i"), span = document.querySelector(".interval .span");
    span.style.left = `${100 * interval.low}%`;
    span.style.width = `${100 * (interval.high - interval.low)}%`;
    mean.style.left = `${100 * share}%`;
    const early = answered < planned ? ` You ended the test after ${answered} of ${planned} sounds.` : "";
    find("verdict").textContent = `${this.verdict(interval)} A listener who guesses is at least this far from 50 % with a probability of ${p_value < 0.001 ? "less than 0.1 %" : `${(100 * p_value).toFixed(1)} %`}.${early}`;
    const rows = [["Recordings taken for generated", result.recordings_taken_for_generated], ["Generated taken for recordings", result.generated_taken_for_recordings]];
    find("mistakes").replaceChildren(...rows.flatMap(([name, { count, of, interval: range }]) => [
      element("dt", {}, name), element("dd", {}, `${count} of ${of}${range ? `  (${shares(range)})` : ""}`)]));
    find("answers").replaceChildren(...result.trials.map((trial, i) => this.row(trial, i)));
  }

  verdict({ low, high }) {
    if (low > 0.5) return "You can tell the recordings from the generated sounds: the interval lies above 50 %.";
    if (high < 0.5) return "You tell them apart, but with the answers swapped: the interval lies below 50 %.";
    return "This does not show that you can tell them apart: the interval contains 50 %, the share of a listener who guesses.";
  }

  row(trial, i) {
    const right = trial.truth === trial.answer, play = element("button", { class: "play", "aria-label": `Play sound ${i + 1}` }, icon("i-play"));
    play.addEventListener("click", () => this.attempt(async () => this.play(await this.sound(i))));
    const name = trial.recording ? visible(trial.recording) : `${plain(label(trial.recipe)) || "sound"}, seed ${trial.recipe.seed}`;
    return element("li", {}, play, element("span", { class: right ? "right" : "wrong", role: "img", "aria-label": right ? "right" : "wrong" }, right ? "✓" : "✗"), element("span", {}, NAMES[trial.truth]), element("span", { title: name }, name));
  }

  save() {
    const date = this.result.date.slice(0, 16).replace(/[T:]/g, "-");
    const link = element("a", { download: `listening-test-${date}.json`, href: URL.createObjectURL(new Blob([`${JSON.stringify(this.result, null, 2)}\n`], { type: "application/json" })) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  // --- the page

  step(name) { for (const id of ["setup", "trial", "result"]) find(id).hidden = id !== name; }
}

try {
  const model = await api.model();
  find("model").textContent = [model.name, `${model.sample_rate / 1000} kHz`, model.channels > 1 ? "stereo" : "mono"].join(" · ");
  const test = new BlindTest(model);
  await test.attempt(() => test.setup());
  document.body.dataset.ready = "";
} catch (error) {
  find("notice").textContent = visible(`${error.message} Reload the page to try again.`);
  find("notice").hidden = false;
}
