// Synchronous playback of two versions of a sound. Only one version is audible, and a switch selects it.

const FADE = 0.01; // Cross-fade of the switch, in seconds.
const AHEAD = 0.02; // Time between a command and the start of playback, in seconds.

export class Comparison {
  /** `changed` is called when playback starts or stops, and when the switch changes. */
  constructor(changed) {
    Object.assign(this, { changed, context: new AudioContext(), sounds: { before: null, after: null }, heard: "before", loop: false, playing: null, at: 0 });
  }

  /** Duration of the longer sound, in seconds. */
  get duration() { return Math.max(0, ...Object.values(this.sounds).map((sound) => sound?.duration ?? 0)); }

  /** Position of playback, in seconds. */
  get position() {
    if (!this.playing) return this.at;
    const passed = this.playing.from + Math.max(0, this.context.currentTime - this.playing.start), { duration } = this;
    return this.loop && duration ? passed % duration : Math.min(passed, duration);
  }

  /** Set the AudioBuffer of "before" or "after", or null. Playback continues at its position. */
  set(name, sound) {
    this.sounds[name] = sound;
    if (!this.sounds[this.heard]) this.heard = this.sounds.after ? "after" : "before";
    if (this.playing) this.play(Math.min(this.position, this.duration));
    this.at = Math.min(this.at, this.duration);
    this.changed();
  }

  play(from = this.at >= this.duration - 0.01 ? 0 : this.at) {
    this.halt();
    if (!this.duration) return;
    if (this.context.state !== "running") this.context.resume();
    const { sampleRate, currentTime } = this.context, start = Math.ceil((currentTime + AHEAD) * sampleRate) / sampleRate; // Rounded to a whole sample, because a sound that starts between samples would be interpolated.
    const voices = {};
    for (const [name, buffer] of Object.entries(this.sounds)) {
      if (!buffer) continue;
      const level = new GainNode(this.context, { gain: name === this.heard ? 1 : 0 });
      const source = new AudioBufferSourceNode(this.context, { buffer, loop: this.loop, loopEnd: buffer.duration });
      source.connect(level).connect(this.context.destination);
      if (from < buffer.duration) source.start(start, from);
      voices[name] = { source, level };
    }
    this.playing = { voices, start, from };
    this.changed();
  }

  halt() {
    if (!this.playing) return;
    for (const { source, level } of Object.values(this.playing.voices)) { try { source.stop(); } catch { /* It was not started. */ } level.disconnect(); }
    this.playing = null;
  }

  stop(at = this.position) {
    this.at = at;
    this.halt();
    this.changed();
  }

  seek(at) {
    this.at = Math.max(0, Math.min(at, this.duration));
    if (this.playing) this.play(this.at);
    else this.changed();
  }

  /** Choose which version is heard. Playback continues. */
  hear(name) {
    if (!this.sounds[name]) return;
    this.heard = name;
    const now = this.context.currentTime;
    for (const [one, { level }] of Object.entries(this.playing?.voices ?? {})) {
      level.gain.cancelScheduledValues(now);
      level.gain.setValueAtTime(level.gain.value, now).linearRampToValueAtTime(one === name ? 1 : 0, now + FADE);
    }
    this.changed();
  }

  repeat(loop) {
    const { position } = this;
    this.loop = loop;
    if (this.playing) this.play(position);
    this.changed();
  }
}
