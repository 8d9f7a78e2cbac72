// Timing of the sequencer, for live playback and for the exported file.

import { Voices } from "./audio.js";

export const STEPS = 16;
export const GAIN = [0, 0.62, 1]; // Gain of a step that is off, on or accented.
const AHEAD = 0.15; // Time for which steps are scheduled in advance, in seconds.
const HIDDEN = 1.6; // The same while the page is in the background, where timers run only once per second.
const LATE = 0.03; // Steps later than this are skipped, in seconds.
const TICK = 25; // Interval of the scheduler in milliseconds.

export const stepSeconds = (tempo) => 15 / tempo;

/**
 * Steps that begin before `until`, as {step, time}. `clock` is {step, time} of the next one, on the straight grid, and is
 * moved on. `swing` is the share of each pair of steps that the first one takes: 0.5 is straight, 0.67 triplets.
 */
export function* steps(clock, until, tempo, swing) {
  while (clock.time < until) {
    const length = stepSeconds(tempo), late = clock.step % 2 ? (2 * swing - 1) * length : 0;
    yield { step: clock.step, time: clock.time + late };
    clock.time += length;
    clock.step = (clock.step + 1) % STEPS;
  }
}

/** Return the pads that sound at a step, as {pad, gain}. `grid` is [pad][step] with 0 (off), 1 (on) or 2 (accent). */
export function hits(grid, step) {
  return grid.flatMap((row, pad) => (row[step] ? [{ pad, gain: GAIN[row[step]] }] : []));
}

/** Render the loop as an AudioBuffer. Sounds that last beyond its end are mixed into its beginning, so that it can be repeated. */
export async function renderLoop({ grid, tempo, swing, buffers, chokes = [], rate }) {
  const seconds = STEPS * stepSeconds(tempo), frames = Math.round(seconds * rate);
  const longest = Math.max(0, ...buffers.map((buffer) => buffer?.duration ?? 0));
  const before = Math.ceil(longest / seconds); // Number of rounds that are rendered before the one that is kept.
  const channels = Math.max(1, ...buffers.map((buffer) => buffer?.numberOfChannels ?? 1));
  const context = new OfflineAudioContext(channels, (before + 1) * frames, rate);
  const voices = new Voices(context);
  for (let round = 0; round <= before; round++) {
    // Every round begins on a whole sample, so that all rounds are equal.
    const start = (round * frames) / rate;
    for (const { step, time } of steps({ step: 0, time: 0 }, seconds - 1e-6, tempo, swing)) {
      for (const { pad, gain } of hits(grid, step)) if (buffers[pad]) voices.play(buffers[pad], start + time, gain, chokes[pad]);
    }
  }
  const whole = await context.startRendering();
  const loop = new AudioBuffer({ length: frames, numberOfChannels: channels, sampleRate: rate });
  for (let c = 0; c < channels; c++) loop.copyToChannel(whole.getChannelData(c).subarray(before * frames), c);
  return loop;
}

/** Sequencer for `pattern()` ({grid, tempo, swing}). It calls `play(pad, time, gain)` for each sound and `shown(step, time)` for each step. */
export class Sequencer {
  constructor(context, pattern, play, shown) {
    Object.assign(this, { context, pattern, play, shown, timer: 0, clock: null });
    document.addEventListener("visibilitychange", () => this.timer && this.tick());
  }

  get running() { return this.timer !== 0; }

  start() {
    this.clock = { step: 0, time: this.context.currentTime + 0.06 };
    this.timer = setInterval(() => this.tick(), TICK);
    this.tick();
  }

  stop() {
    clearInterval(this.timer);
    this.timer = 0;
  }

  tick() {
    const { grid, tempo, swing } = this.pattern(), now = this.context.currentTime;
    for (const { step, time } of steps(this.clock, now + (document.hidden ? HIDDEN : AHEAD), tempo, swing)) {
      if (time < now - LATE) continue; // A late step is skipped, because playing it would shift the beat.
      this.shown(step, time);
      for (const { pad, gain } of hits(grid, step)) this.play(pad, time, gain);
    }
  }
}
