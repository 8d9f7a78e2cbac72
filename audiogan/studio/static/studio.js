// `Studio`, which connects state, sounds and user actions.

import * as api from "./api.js";
import { Voices, liveContext, toBuffer, wav24 } from "./audio.js";
import { Editor } from "./editor.js";
import { fill, label, plain, visible } from "./looks.js";
import { Pads } from "./pads.js";
import { Sequencer, renderLoop } from "./sequencer.js";
import { StepGrid } from "./stepgrid.js";

const KEPT = 400; // Number of sounds in memory.
const find = (id) => document.getElementById(id);
const sameSound = (a, b) => a === b || key(a) === key(b);
const key = ({ latent, classes, knobs, truncation }) => JSON.stringify([latent, classes, knobs, truncation]);
const choke = (pad) => (/hat/i.test(label(pad.recipe)) ? "hat" : "");

export class Studio {
  constructor(model, store) {
    Object.assign(this, { model, store, chosen: 0, sounds: new Map(), loading: new Map(), flashes: [], wanted: -1, searches: new Set() });
    this.context = liveContext(model.sample_rate);
    this.voices = new Voices(this.context);
    const on = {
      hit: (i, velocity) => this.hit(i, velocity), choose: (i) => this.choose(i), lock: (i) => this.lock(i),
      drop: (i, file) => this.imitate(i, file),
    };
    this.pads = new Pads(find("pads"), model.labels, on);
    this.grid = new StepGrid(find("grid"), model.labels, {
      hit: (i) => { this.choose(i); this.hit(i, 0.9); },
      set: (pad, step, value) => this.set(pad, step, value),
    });
    this.loop = new Voices(this.context);
    this.sequencer = new Sequencer(this.context, () => ({ ...store.state, swing: store.state.swing / 100 }), (i, time, gain) => this.scheduled(i, time, gain),
      (step, time) => this.flashes.push({ step, time }));
    this.editor = new Editor(this);
    store.listen((state, before) => this.show(state, before));
    this.show(store.state, null);
    this.choose(0);
    this.grid.at(null);
  }

  // --- sounds

  buffer(i) { return this.sounds.get(key(this.store.state.pads[i].recipe)); }

  /** Return the sound of a recipe from memory or from the server. */
  async sound(recipe) {
    const name = key(recipe);
    if (!this.sounds.has(name)) {
      if (!this.loading.has(name)) this.loading.set(name, api.render(recipe).finally(() => this.loading.delete(name)));
      const bytes = await this.loading.get(name);
      if (!this.sounds.has(name)) this.sounds.set(name, toBuffer(this.context, bytes));
      if (this.sounds.size > KEPT) this.sounds.delete(this.sounds.keys().next().value);
    }
    return this.sounds.get(name);
  }

  /** Fetch the current sound of a pad. While a slider moves, there is one request at a time, for the latest position. */
  async fetch(i) {
    this.busy ??= new Set();
    if (this.busy.has(i)) return;
    this.busy.add(i);
    try {
      while (!this.buffer(i)) {
        const { recipe } = this.store.state.pads[i];
        const buffer = await this.sound(recipe);
        if (this.wanted === i && !sameSound(recipe, this.store.state.pads[i].recipe)) this.play(buffer, i, 0.9); // The slider is still moving, so that this is an intermediate sound.
      }
      this.arrived(i);
    } catch (error) {
      this.say(error.message, true);
    } finally {
      this.busy.delete(i);
    }
  }

  arrived(i) {
    this.pads.wave(i, this.buffer(i));
    if (i === this.chosen) this.editor.wave(this.buffer(i));
    if (this.wanted === i) { this.wanted = -1; this.hit(i, 0.9); }
  }

  // --- playing

  hit(i, velocity) {
    if (this.context.state !== "running") this.context.resume();
    const buffer = this.buffer(i);
    if (buffer) this.play(buffer, i, velocity);
    else this.wanted = i;
  }

  play(buffer, i, velocity) {
    this.voices.play(buffer, this.context.currentTime, velocity * velocity, choke(this.store.state.pads[i]));
    this.pads.flash(i, 0.35 + 0.65 * velocity);
    if (i === this.chosen) this.editor.run(buffer.duration);
  }

  scheduled(i, time, gain) {
    const buffer = this.buffer(i);
    if (!buffer) return;
    this.loop.play(buffer, time, gain, choke(this.store.state.pads[i]));
    this.flashes.push({ pad: i, time, gain });
  }

  async toggle() {
    if (this.sequencer.running) {
      this.sequencer.stop();
      this.loop.silence();
      this.flashes = [];
      this.grid.at(null);
    } else {
      await this.context.resume();
      if (this.sequencer.running) return;
      this.sequencer.start();
      this.animate();
    }
    const on = this.sequencer.running, button = find("transport");
    button.setAttribute("aria-pressed", on);
    button.querySelector("span").textContent = on ? "Stop" : "Play";
    button.querySelector("use").setAttribute("href", on ? "#i-stop" : "#i-play");
  }

  /** Highlight pads and steps in time with the audible output. */
  animate() {
    if (!this.sequencer.running) return;
    const heard = this.context.currentTime - (this.context.outputLatency || 0);
    const due = this.flashes.filter((flash) => flash.time <= heard);
    this.flashes = this.flashes.filter((flash) => flash.time > heard);
    for (const flash of due) {
      if ("step" in flash) this.grid.at(flash.step);
      else if (heard - flash.time < 0.1) this.pads.flash(flash.pad, 0.3 + 0.6 * flash.gain);
    }
    requestAnimationFrame(() => this.animate());
  }

  // --- changes

  choose(i) {
    this.chosen = i;
    this.pads.chosen(i);
    this.editor.show(i);
    this.editor.wave(this.buffer(i));
  }

  change(i, recipe, what, kind = "") {
    this.wanted = i; // The sound is played as soon as it has loaded.
    const pad = this.store.state.pads[i];
    const name = label(recipe) === label(pad.recipe) ? pad.name : plain(label(recipe)) || pad.name;
    this.store.pad(i, { recipe, name }, what, kind);
    if (this.buffer(i)) this.arrived(i);
  }

  lock(i) {
    const locked = !this.store.state.pads[i].locked;
    this.store.pad(i, { locked }, `lock of pad ${i + 1}`);
    this.say(`Pad ${i + 1} ${locked ? "locked" : "unlocked"}`);
  }

  set(pad, step, value) {
    const grid = this.store.state.grid.map((row, i) => (i === pad ? row.with(step, value) : row));
    this.store.change({ grid }, "steps", "steps");
  }

  async newKit(seed = crypto.getRandomValues(new Uint32Array(1))[0]) {
    const before = this.store.state.pads;
    const { pads } = await api.kit(seed, before.map(({ name, note, locked, recipe }) => (locked ? { name, note, recipe } : null)));
    this.store.change({ pads: pads.map((pad, i) => (before[i].locked ? before[i] : { ...pad, locked: false })) }, "new kit");
    const kept = before.filter((pad) => pad.locked).length;
    this.say(kept ? `New kit, ${kept} locked ${kept === 1 ? "pad" : "pads"} kept` : "New kit");
  }

  async imitate(i, file) {
    this.choose(i);
    const { limits } = this.model, says = find("imitate-says"), bar = find("imitate-progress");
    if (file.size > limits.upload_bytes) {
      this.say(`${file.name} is larger than ${Math.round(limits.upload_bytes / 2 ** 20)} MB; a short recording is enough`, true);
      return;
    }
    const stop = find("imitate-stop"), search = new AbortController();
    this.searches.add(search);
    stop.hidden = false;
    const step = (share) => { bar.value = share; bar.hidden = false; this.pads.progress(i, share); };
    step(0);
    says.textContent = `analysing ${file.name} …`;
    this.say(`Pad ${i + 1} imitates ${file.name}`);
    try {
      const found = await api.imitate(file, null, Math.min(8, limits.seconds), step, search.signal);
      this.change(i, found.recipe, `imitation on pad ${i + 1}`);
      const far = `${found.distance.toFixed(1)} dB apart`;
      says.textContent = `${far} (best of random sounds: ${found.start.toFixed(1)})${found.note ? `; ${found.note}` : ""}`;
      this.say(`Pad ${i + 1} imitates ${file.name}, ${far}`);
    } catch (error) {
      const line = search.signal.aborted ? "stopped" : error.message;
      says.textContent = line;
      this.say(search.signal.aborted ? `Pad ${i + 1} stays as it was` : line, !search.signal.aborted);
    } finally {
      this.searches.delete(search);
      bar.hidden = stop.hidden = !this.searches.size;
      this.pads.progress(i, null);
    }
  }

  /** Render the current loop as a WAV file: {blob, gain}. */
  async loopFile() {
    const { pads, grid, tempo, swing } = this.store.state;
    const buffers = await Promise.all(pads.map((pad, i) => (grid[i].some(Boolean) ? this.sound(pad.recipe) : null)));
    const rate = this.model.sample_rate;
    return wav24(await renderLoop({ grid, tempo, swing: swing / 100, buffers, chokes: pads.map(choke), rate }));
  }

  // --- the page

  show(state, before) {
    state.pads.forEach((pad, i) => {
      if (before && before.pads[i] === pad) return;
      this.pads.show(i, pad);
      if (before && sameSound(before.pads[i].recipe, pad.recipe)) return;
      this.pads.wave(i, this.buffer(i));
      if (!this.buffer(i)) this.fetch(i);
    });
    this.grid.show(state.pads, state.grid, before);
    if (!before || before.pads !== state.pads) {
      this.editor.show(this.chosen);
      this.editor.wave(this.buffer(this.chosen));
    }
    find("undo").disabled = !this.store.past.length;
    find("redo").disabled = !this.store.future.length;
    find("tempo").value = state.tempo;
    find("swing").value = state.swing;
    fill(find("swing"));
    find("swing").nextElementSibling.value = `${state.swing} %`;
  }

  /** Show a message and announce it to screen readers. */
  say(text, wrong = false) {
    const says = find("says");
    says.textContent = visible(text);
    says.className = `says shown${wrong ? " wrong" : ""}`;
    clearTimeout(this.saying);
    this.saying = setTimeout(() => says.classList.remove("shown"), wrong ? 9000 : 2600);
  }

  /** Run a task and show its error message if it fails. */
  async attempt(work) {
    try {
      return await work();
    } catch (error) {
      this.say(error.message, true);
      return undefined;
    }
  }
}
