// Timing of the sequencer. The server renders files of patterns.

const AHEAD = 0.15; // Time for which steps are scheduled in advance, in seconds.
const AHEAD_HIDDEN = 1.6; // The same time for a page in the background, where timers run only once per second.
const MAX_LATENESS = 0.03; // Steps later than this are skipped, in seconds.
const TICK = 25; // Interval of the scheduler in milliseconds.

export const stepSeconds = (tempo) => 15 / tempo;
export const gainOf = (velocity) => velocity / 127; // As in kits and in `audiogan play`.

/** Return the delay of a step in seconds. `swing` is the share of each pair of steps that the first one takes: 0.5 is straight, 0.67 triplets. */
const delay = (step, tempo, swing) => (step % 2 ? (2 * swing - 1) * stepSeconds(tempo) : 0);

/** Return the pads that sound at a step, as {pad, velocity}. `grid` is [pad][step] with MIDI velocities, or 0 for silence. */
export function hits(grid, step) {
  return grid.flatMap((row, pad) => (row[step] ? [{ pad, velocity: row[step] }] : []));
}

/** Return the notes of one pass through a pattern in order, as {pad, velocity, time} with the time in seconds. */
export function notes({ grid, steps = grid[0].length, tempo, swing }) {
  return Array.from({ length: steps }, (_, step) => step).flatMap((step) => hits(grid, step).map((hit) => (
    { ...hit, time: step * stepSeconds(tempo) + delay(step, tempo, swing) })));
}

/**
 * Sequencer. `current()` returns {pattern, tempo, swing, sounding}: the index of the chosen pattern, and a function that
 * returns the {grid, steps} of an index. `play(pad, time, velocity)` is called for each sound, and
 * `shown(index, step, time)` for each step.
 */
export class Sequencer {
  constructor(context, current, play, shown) {
    Object.assign(this, { context, current, play, shown, timer: 0, clock: null });
    document.addEventListener("visibilitychange", () => this.timer && this.tick());
  }

  get running() { return this.timer !== 0; }

  start() {
    this.clock = { step: 0, time: this.context.currentTime + 0.06, index: this.current().pattern };
    this.timer = setInterval(() => this.tick(), TICK);
    this.tick();
  }

  stop() {
    clearInterval(this.timer);
    this.timer = 0;
  }

  tick() {
    const now = this.context.currentTime, until = now + (document.hidden ? AHEAD_HIDDEN : AHEAD), { clock } = this;
    const { pattern, tempo, swing, sounding } = this.current();
    while (clock.time < until) {
      if (clock.step >= sounding(clock.index).steps) clock.step = 0;
      if (clock.step === 0) clock.index = pattern; // A chosen pattern begins when the current one ends.
      const time = clock.time + delay(clock.step, tempo, swing);
      if (time >= now - MAX_LATENESS) { // A late step is skipped, because playing it would shift the beat.
        this.shown(clock.index, clock.step, time);
        for (const { pad, velocity } of hits(sounding(clock.index).grid, clock.step)) this.play(pad, time, velocity);
      }
      clock.time += stepSeconds(tempo);
      clock.step += 1;
    }
  }
}
