// Recording with the microphone, and comparison of an imitation with its source.

import { toBuffer } from "./audio.js";
import { element, hatGroup } from "./looks.js";
import { Microphone, wavFile } from "./microphone.js";

const find = (id) => document.getElementById(id);
const LONGEST = 10; // Longest recording, in seconds. The server reads no more.
const QUIETEST = 0.02; // Amplitude at which a sound begins (-34 dBFS).
const RATIO = 0.02; // Amplitude below which a sound has ended, relative to its peak (-34 dB).
const SILENCE = 0.6; // Time of silence after a sound at which the recording stops, in seconds.
const LEAD = 0.25; // Time that is kept before the sound, in seconds.
const GAIN = 0.81;

export function connectRecorder(studio) {
  const recorder = new RecordButton(studio), comparison = new Comparison(studio);
  find("imitate").after(recorder.button);
  find("imitate").closest(".field").append(comparison.root);
}

/** Recording of one sound. `add` takes blocks of samples until `done`, and `sound` returns the samples from shortly before the sound. */
export class SoundTake {
  constructor(rate) { Object.assign(this, { rate, blocks: [], length: 0, begin: -1, peak: 0, last: 0, level: 0 }); }

  add(block) {
    this.level = block.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    if (this.begin < 0 && this.level > QUIETEST) this.begin = this.length;
    this.peak = Math.max(this.peak, this.level);
    if (this.begin >= 0 && this.level > RATIO * this.peak) this.last = this.length + block.length;
    this.blocks.push(block);
    this.length += block.length;
  }

  get done() { return this.length >= LONGEST * this.rate || (this.begin >= 0 && this.length - this.last > SILENCE * this.rate); }

  /** Return the samples, or null if no sound began. */
  sound() {
    if (this.begin < 0) return null;
    const all = new Float32Array(this.length);
    let at = 0;
    for (const block of this.blocks) { all.set(block, at); at += block.length; }
    return all.subarray(Math.max(0, this.begin - LEAD * this.rate));
  }
}

class RecordButton {
  constructor(studio) {
    this.studio = studio;
    const label = element("span", {}, "Record");
    this.button = element("button", { id: "record", "aria-pressed": "false", title: "Record a sound with the microphone and imitate it" }, element("i", { class: "dot", "aria-hidden": "true" }), label);
    this.microphone = new Microphone(this.button, label);
    this.button.addEventListener("click", () => (this.microphone.stop ? this.microphone.stop() : studio.attempt(() => this.record())));
  }

  async record() {
    const { studio } = this, pad = studio.chosen;
    const take = await this.microphone.record((rate) => new SoundTake(rate), () => {
      find("imitate-says").textContent = "listening …";
      studio.say("Recording: make a sound");
    });
    find("imitate-says").textContent = "or drop one on a pad";
    const samples = take.sound();
    if (!samples) throw new Error("Nothing was heard; the sound must exceed −34 dB of full scale");
    studio.imitate(pad, wavFile(samples, take.rate));
  }
}

/** Two buttons that play the source and the imitation, at the same level. They are visible while the pad holds the imitation. */
class Comparison {
  constructor(studio) {
    Object.assign(this, { studio, sources: new Map() }); // Index of a pad -> {recipe, source: AudioBuffer, gain}
    const button = (name, letter, play) => {
      const made = element("button", { id: `compare-${name}` }, element("b", {}, letter), name);
      made.addEventListener("click", play);
      return made;
    };
    this.root = element("div", { class: "compare", role: "group", "aria-label": "Compare the source and the imitation", hidden: "" },
      button("source", "A", () => this.play(true)), button("imitation", "B", () => this.play(false)));
    document.addEventListener("imitated", ({ detail }) => studio.attempt(() => this.add(detail)));
    document.addEventListener("pad-chosen", () => this.show());
    studio.store.listen(() => this.show());
  }

  async add({ i, recipe, source }) {
    if (!source) return;
    const bytes = Uint8Array.from(atob(source), (letter) => letter.charCodeAt(0)).buffer;
    const made = await this.studio.sound(recipe, this.studio.store.state.pads[i]), given = toBuffer(this.studio.context, bytes);
    this.sources.set(i, { recipe, source: given, gain: power(made) / (power(given) || 1) });
    this.show();
  }

  get current() {
    const kept = this.sources.get(this.studio.chosen);
    return kept?.recipe === this.studio.store.state.pads[this.studio.chosen]?.recipe ? kept : null;
  }

  show() { this.root.hidden = !this.current; }

  play(source) {
    const { studio } = this, kept = this.current, pad = studio.store.state.pads[studio.chosen];
    if (!kept) return;
    if (!source) { studio.hit(studio.chosen); return; }
    if (studio.context.state !== "running") studio.context.resume();
    studio.voices.play(kept.source, studio.context.currentTime, Math.min(2, kept.gain) * GAIN, hatGroup(pad));
  }
}

/** Return the square root of the energy of an AudioBuffer. */
function power(buffer) {
  let sum = 0;
  for (let c = 0; c < buffer.numberOfChannels; c++) for (const x of buffer.getChannelData(c)) sum += x * x;
  return Math.sqrt(sum / buffer.numberOfChannels);
}
