// `Studio`, which connects state, sounds and user actions.

import * as api from "./api.js";
import { Voices, liveContext } from "./audio.js";
import { readable } from "./decode.js";
import { connectDrag } from "./drag.js";
import { soundFile } from "./downloads.js";
import { Editor } from "./editor.js";
import { hatGroup, label, plain } from "./looks.js";
import { Messages } from "./messages.js";
import { Pads } from "./pads.js";
import { MIX, PAGE, soundingPattern, withStep } from "./pattern.js";
import { PatternBar } from "./patternbar.js";
import { Sequencer, gainOf } from "./sequencer.js";
import { Sounds, sameSound, soundOf } from "./sounds.js";
import { StepGrid } from "./stepgrid.js";

const PREVIEW = 0.81; // Gain of a pad that is played by a key or a button.
const find = (id) => document.getElementById(id);

export class Studio extends Messages {
  constructor(model, store) {
    super();
    Object.assign(this, { model, store, chosen: -1, page: 0, flashes: [], wanted: -1, searches: new Set() });
    this.context = liveContext(model.sample_rate);
    this.sounds = new Sounds(this.context);
    this.voices = new Voices(this.context);
    this.pads = new Pads(find("pads"), model.labels, {
      hit: (i, gain) => this.hit(i, gain), choose: (i) => this.choose(i), lock: (i) => this.lock(i),
    });
    connectDrag(this, (i) => soundFile(this, i));
    this.grid = new StepGrid(find("grid"), model.labels, {
      hit: (i) => this.hit(i), choose: (i) => this.choose(i), page: (page) => this.turn(page),
      set: (pad, step, velocity, kind) => store.pattern(withStep(this.pattern, pad, step, velocity), "steps", kind),
      toggle: (pad, kind) => this.toggleSwitch(pad, kind),
    });
    this.bar = new PatternBar(this);
    this.loop = new Voices(this.context);
    const sounding = (index) => soundingPattern(store.state, index);
    this.sequencer = new Sequencer(this.context, () => ({ ...store.state, swing: store.state.swing / 100, sounding }),
      (i, time, velocity) => this.scheduled(i, time, gainOf(velocity)), (pattern, step, time) => this.flashes.push({ pattern, step, time }));
    this.editor = new Editor(this);
    store.listen((state, before) => this.show(state, before));
    this.choose(0);
    this.show(store.state, null);
  }

  get pattern() { return this.store.state.patterns[this.store.state.pattern]; }

  // --- sounds

  buffer(i) { return this.sounds.get(this.store.state.pads[i]); }

  /** Return the sound of a recipe with the level, pan and tune of a pad. */
  sound(recipe, { level, pan, tune } = MIX) { return this.sounds.load({ recipe, level, pan, tune }); }

  /** Fetch the current sound of a pad. While a slider moves, there is one request at a time, for the latest position. */
  async fetch(i) {
    this.busy ??= new Set();
    if (this.busy.has(i)) return;
    this.busy.add(i);
    try {
      while (!this.buffer(i)) {
        const pad = this.store.state.pads[i];
        const buffer = await this.sound(pad.recipe, pad);
        if (this.wanted === i && !sameSound(pad, this.store.state.pads[i])) this.play(buffer, i, PREVIEW); // The slider is still moving, so that this is an intermediate sound.
      }
      this.arrived(i);
    } catch (error) {
      this.say(error.message, true);
    } finally {
      this.busy.delete(i);
    }
  }

  /** Fetch the gain of the kit, which depends on all its pads. */
  async balance() {
    if (this.balancing) return;
    this.balancing = true;
    try {
      let pads;
      do {
        ({ pads } = this.store.state);
        this.gain = await api.balance(pads.map(soundOf));
        this.voices.gain = this.loop.gain = this.gain;
      } while (pads !== this.store.state.pads);
      document.body.dataset.gain = this.gain;
    } catch (error) {
      this.say(error.message, true);
    } finally {
      this.balancing = false;
    }
  }

  arrived(i) {
    this.pads.wave(i, this.buffer(i));
    if (i === this.chosen) this.editor.wave(this.buffer(i));
    if (this.wanted === i) { this.wanted = -1; this.hit(i); }
  }

  // --- playing

  /** Play a pad. `gain` is 0 ... 1, proportional to the amplitude. */
  hit(i, gain = PREVIEW) {
    if (this.context.state !== "running") this.context.resume();
    const buffer = this.buffer(i);
    if (buffer) this.play(buffer, i, gain);
    else this.wanted = i;
  }

  play(buffer, i, gain) {
    const pad = this.store.state.pads[i];
    this.voices.play(buffer, this.context.currentTime, gain, hatGroup(pad));
    this.pads.flash(i, 0.35 + 0.65 * Math.sqrt(gain));
    if (i === this.chosen) this.editor.run(buffer.duration);
  }

  scheduled(i, time, gain) {
    const buffer = this.buffer(i), pad = this.store.state.pads[i];
    if (!buffer) return;
    this.loop.play(buffer, time, gain, hatGroup(pad));
    this.flashes.push({ pad: i, time, gain });
  }

  async toggle() {
    if (this.sequencer.running) {
      this.sequencer.stop();
      this.loop.silence();
      this.flashes = [];
      this.grid.at(null);
      this.bar.playing(null);
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
      if ("step" in flash) {
        this.grid.at(flash.pattern === this.store.state.pattern ? flash.step : null);
        this.bar.playing(flash);
      }
      else if (heard - flash.time < 0.1) this.pads.flash(flash.pad, 0.3 + 0.6 * flash.gain);
    }
    requestAnimationFrame(() => this.animate());
  }

  // --- changes

  choose(i) {
    if (i === this.chosen) return;
    this.chosen = i;
    this.pads.chosen(i);
    this.grid.chosen(i);
    this.editor.show(i);
    this.editor.wave(this.buffer(i));
    document.dispatchEvent(new CustomEvent("pad-chosen", { detail: i }));
  }

  /** Replace the sound of a pad, and other `parts` of the pad. */
  change(i, recipe, what, kind = "", parts = {}) {
    this.wanted = i; // The sound is played as soon as it has loaded.
    const pad = this.store.state.pads[i];
    const name = label(recipe) === label(pad.recipe) ? pad.name : plain(label(recipe)) || pad.name;
    this.store.pad(i, { recipe, name, ...parts }, what, kind);
    if (this.buffer(i)) this.arrived(i);
  }

  lock(i) {
    const locked = !this.store.state.pads[i].locked;
    this.store.pad(i, { locked }, `lock of pad ${i + 1}`);
    this.say(`Pad ${i + 1} ${locked ? "locked" : "unlocked"}`);
  }

  toggleSwitch(i, kind) {
    const on = !this.store.state.pads[i][kind];
    this.store.pad(i, { [kind]: on }, `${kind} of pad ${i + 1}`);
    this.say(`Pad ${i + 1}: ${kind} ${on ? "on" : "off"}`);
  }

  /** Copy the sound and the settings of a pad to another pad. */
  copy(from, to) {
    const { recipe, level, pan, tune } = this.store.state.pads[from];
    this.choose(to);
    this.change(to, recipe, `copy of pad ${from + 1} on pad ${to + 1}`, "", { level, pan, tune });
    this.say(`Pad ${from + 1} copied to pad ${to + 1}`);
  }

  /** Show another page of the pattern, or another pattern. */
  turn(page, pattern = this.store.state.pattern) {
    this.page = page;
    if (pattern !== this.store.state.pattern) this.store.turn({ pattern });
    else this.steps(this.store.state);
  }

  /** Undo or redo the last change and say which one it was. */
  travel(direction) {
    const what = this.store[direction]();
    if (what) this.say(`${direction === "undo" ? "Undone" : "Redone"}: ${what}`);
  }

  steps(state) {
    this.page = Math.min(this.page, Math.ceil(state.patterns[state.pattern].steps / PAGE) - 1);
    this.grid.show(state, this.page);
    this.bar.show(state, this.page);
  }

  async newKit(seed = crypto.getRandomValues(new Uint32Array(1))[0]) {
    const before = this.store.state.pads;
    const { pads } = await api.kit(seed, before.map(({ name, note, locked, recipe }) => (locked ? { name, note, recipe } : null)));
    const mix = ({ level, pan, mute, solo }) => ({ ...MIX, level, pan, mute, solo }); // The tune is not kept, because it belongs to the old sound.
    this.store.change({ pads: pads.map((pad, i) => (before[i].locked ? before[i] : { ...pad, ...mix(before[i]), locked: false, from: seed })) }, "new kit");
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
      const found = await api.imitate(await readable(file), null, Math.min(8, limits.seconds), step, search.signal);
      this.change(i, found.recipe, `imitation on pad ${i + 1}`);
      document.dispatchEvent(new CustomEvent("imitated", { detail: { i, ...found } }));
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

  // --- the page

  show(state, before) {
    state.pads.forEach((pad, i) => {
      if (before && before.pads[i] === pad) return;
      this.pads.show(i, pad);
      if (before && sameSound(before.pads[i], pad)) return;
      this.pads.wave(i, this.buffer(i));
      if (!this.buffer(i)) this.fetch(i);
    });
    this.steps(state);
    if (!before || state.pads.some((pad, i) => !sameSound(before.pads[i], pad))) this.balance();
    if (!before || before.pads !== state.pads) {
      this.editor.show(this.chosen);
      this.editor.wave(this.buffer(this.chosen));
    }
    find("undo").disabled = !this.store.past.length;
    find("redo").disabled = !this.store.future.length;
  }
}
