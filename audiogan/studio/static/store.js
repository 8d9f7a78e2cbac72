// State of the page with its undo history. States are immutable.
//
// A state is {tempo, swing, pads, patterns, pattern}: tempo in BPM, swing in percent, sixteen pads {name, note, recipe,
// locked, level, pan, tune, mute, solo}, the patterns A to D (see pattern.js), and the index of the chosen pattern.

const MAX_STEPS = 300; // Maximum number of undo steps.
const JOIN_TIME = 900; // Time in milliseconds within which moves of one slider form one undo step.

export class Store {
  constructor(state, past = [], future = []) {
    Object.assign(this, { state, past, future, listeners: [], last: { kind: "", time: 0 } });
  }

  listen(listener) { this.listeners.push(listener); }

  /** Replace parts of the state. `what` describes the change. Consecutive changes of one `kind` form one undo step. */
  change(parts, what, kind = "") {
    const now = Date.now(), joined = kind && kind === this.last.kind && now - this.last.time < JOIN_TIME;
    if (!joined) {
      this.past.push({ state: this.state, what });
      if (this.past.length > MAX_STEPS) this.past.shift();
    }
    this.last = { kind, time: now };
    this.future = [];
    this.become({ ...this.state, ...parts });
  }

  pad(i, parts, what, kind = "") {
    this.change({ pads: this.state.pads.map((pad, at) => (at === i ? { ...pad, ...parts } : pad)) }, what, kind);
  }

  /** Replace the pattern `i`, by default the chosen one. */
  pattern(pattern, what, kind = "", i = this.state.pattern) {
    this.change({ patterns: this.state.patterns.with(i, pattern) }, what, kind);
  }

  /** Replace parts of the state without an undo step, for example to choose a pattern. */
  turn(parts) { this.become({ ...this.state, ...parts }); }

  undo() { return this.travel(this.past, this.future); }
  redo() { return this.travel(this.future, this.past); }

  travel(from, to) {
    const entry = from.pop();
    if (!entry) return "";
    to.push({ state: this.state, what: entry.what });
    this.last = { kind: "", time: 0 };
    this.become(entry.state);
    return entry.what;
  }

  become(state) {
    const before = this.state;
    this.state = state;
    for (const listener of this.listeners) listener(state, before);
  }
}
