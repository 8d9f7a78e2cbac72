// Recording with the microphone.

import { wav24 } from "./audio.js";

/** Button that records with the microphone. `label` is the element with its text. */
export class Microphone {
  constructor(button, label) { Object.assign(this, { button, label, stop: null }); }

  /**
   * Record until `take.done`, or until `stop` is called. `newTake(sampleRate)` returns the take, which receives blocks of
   * samples by `take.add`. `started` is called when the recording begins. Resolves to the take.
   */
  async record(newTake, started) {
    if (!navigator.mediaDevices?.getUserMedia) throw new Error("Browsers allow the microphone only at http://127.0.0.1 or https:// addresses");
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
    } catch (error) {
      throw new Error(error.name === "NotAllowedError" ? "The browser does not allow the microphone on this page" : `No microphone: ${error.message}`);
    }
    const context = new AudioContext(), { button, label } = this, name = label.textContent;
    try {
      await context.audioWorklet.addModule("/static/record-worklet.js");
      const node = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0 }), take = newTake(context.sampleRate);
      button.setAttribute("aria-pressed", "true");
      label.textContent = "Stop";
      started();
      await new Promise((done) => {
        this.stop = done;
        node.port.onmessage = ({ data }) => {
          take.add(data);
          button.style.setProperty("--level", Math.min(1, Math.sqrt(take.level)));
          if (take.done) done();
        };
        context.createMediaStreamSource(stream).connect(node);
      });
      return take;
    } finally {
      this.stop = null;
      stream.getTracks().forEach((track) => track.stop());
      context.close();
      button.setAttribute("aria-pressed", "false");
      button.style.removeProperty("--level");
      label.textContent = name;
    }
  }
}

/** Recording of a given length in seconds, or until it is stopped. */
export class LongTake {
  constructor(rate, seconds) { Object.assign(this, { rate, seconds, blocks: [], length: 0, level: 0 }); }

  add(block) {
    this.level = block.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    this.blocks.push(block);
    this.length += block.length;
  }

  get done() { return this.length >= this.seconds * this.rate; }

  get samples() {
    const all = new Float32Array(this.length);
    let at = 0;
    for (const block of this.blocks) { all.set(block, at); at += block.length; }
    return all;
  }
}

/** Return samples as a WAV file. */
export function wavFile(samples, sampleRate) {
  const buffer = new AudioBuffer({ length: samples.length, sampleRate });
  buffer.copyToChannel(samples, 0);
  return new File([wav24(buffer).blob], "recording.wav", { type: "audio/wav" });
}
