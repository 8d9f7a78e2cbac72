// Decoding, playback and encoding of sounds.

export const MASTER = 0.8; // Gain of all sounds of the page, below 1, so that simultaneous strokes of several pads do not clip.
const CHOKE = 0.01; // Fade-out when a sound is cut, in seconds.

/** Decode a WAV file with 32-bit floating-point samples, as the server sends it, to {rate, channels: [Float32Array]}. */
export function parseWav(bytes) {
  const view = new DataView(bytes);
  const name = (at) => String.fromCharCode(...new Uint8Array(bytes, at, 4));
  let count = 0, rate = 0;
  for (let at = 12; at + 8 <= bytes.byteLength; ) {
    const size = view.getUint32(at + 4, true), start = at + 8;
    if (name(at) === "fmt ") {
      if (view.getUint16(start, true) !== 3) throw new Error("not a WAV file of floats");
      count = view.getUint16(start + 2, true);
      rate = view.getUint32(start + 4, true);
    } else if (name(at) === "data") {
      const frames = size / 4 / count;
      const channels = Array.from({ length: count }, () => new Float32Array(frames));
      for (let i = 0, p = start; i < frames; i++) for (let c = 0; c < count; c++, p += 4) channels[c][i] = view.getFloat32(p, true);
      return { rate, channels };
    }
    at = start + size + (size % 2);
  }
  throw new Error("not a whole WAV file");
}

/** Encode an AudioBuffer as a 24-bit WAV file, amplified by `wanted`, and return {blob, gain}. If the sound would exceed full scale, `gain` is smaller than `wanted`. */
export function wav24(buffer, wanted = 1) {
  const { numberOfChannels: count, length, sampleRate } = buffer;
  const channels = Array.from({ length: count }, (_, c) => buffer.getChannelData(c));
  let peak = 0;
  for (const samples of channels) for (const x of samples) peak = Math.max(peak, Math.abs(x));
  const gain = peak * wanted > 1 ? 1 / peak : wanted;
  const size = length * count * 3, bytes = new ArrayBuffer(44 + size + (size % 2)), view = new DataView(bytes);
  const put = (at, text) => [...text].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  put(0, "RIFF"); view.setUint32(4, bytes.byteLength - 8, true); put(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, count, true);
  view.setUint32(24, sampleRate, true); view.setUint32(28, sampleRate * count * 3, true);
  view.setUint16(32, count * 3, true); view.setUint16(34, 24, true); put(36, "data"); view.setUint32(40, size, true);
  for (let i = 0, p = 44; i < length; i++) {
    for (let c = 0; c < count; c++, p += 3) {
      const x = Math.round(Math.max(-1, Math.min(1, channels[c][i] * gain)) * 8388607);
      view.setUint16(p, x & 0xffff, true);
      view.setInt8(p + 2, x >> 16);
    }
  }
  return { blob: new Blob([bytes], { type: "audio/wav" }), gain };
}

/**
 * Player of sounds on an audio context. The next hi-hat cuts an open hi-hat. In every other group, the next sound cuts the
 * previous one.
 */
export class Voices {
  constructor(context) {
    this.context = context;
    this.out = new GainNode(context, { gain: MASTER });
    this.out.connect(context.destination);
    this.playing = new Set();
    this.ringing = new Map(); // Group -> sounds that the next one cuts, as [{level, gain, start}].
  }

  /** Set the gain of the kit, see `api.balance`. With this gain, sounds have the same levels as in exported files. */
  set gain(gain) { this.out.gain.value = MASTER * gain; }

  /** Play a sound at a time in seconds. `choke` is "open" or "closed" for hi-hats, the name of another group, or empty. */
  play(buffer, when, gain, choke = "") {
    const source = new AudioBufferSourceNode(this.context, { buffer });
    const level = new GainNode(this.context, { gain });
    const { sampleRate } = this.context, start = Math.round(when * sampleRate) / sampleRate; // Rounded to a whole sample, because a sound that starts between samples would be interpolated.
    source.connect(level).connect(this.out);
    if (choke) this.choke(choke, { level, gain, start });
    source.start(start);
    this.playing.add(source);
    source.onended = () => { this.playing.delete(source); level.disconnect(); };
  }

  choke(choke, voice) {
    const group = choke === "closed" ? "open" : choke, before = this.ringing.get(group) ?? [];
    const together = before.filter(({ start }) => start >= voice.start); // Hi-hats that are struck together do not cut each other.
    for (const { level, gain, start } of before) {
      if (start >= voice.start) continue;
      level.gain.setValueAtTime(gain, voice.start).linearRampToValueAtTime(0, voice.start + CHOKE);
    }
    this.ringing.set(group, choke === "closed" ? together : [...together, voice]);
  }

  silence() {
    for (const source of this.playing) source.stop();
  }
}

/** Return an audio context for live playing. It runs at the sample rate of the model, so that sounds are resampled only once, at the output of the browser. */
export function liveContext(rate) {
  try {
    return new AudioContext({ sampleRate: rate, latencyHint: "interactive" });
  } catch {
    return new AudioContext({ latencyHint: "interactive" });
  }
}

/** Decode the bytes of a WAV file to an AudioBuffer. */
export function toBuffer(context, bytes) {
  const { rate, channels } = parseWav(bytes);
  const buffer = new AudioBuffer({ length: channels[0].length, numberOfChannels: channels.length, sampleRate: rate });
  channels.forEach((samples, c) => buffer.copyToChannel(samples, c));
  return buffer;
}
