// State of the page with its undo history. States are immutable.

const MOST = 300;
const TOGETHER = 900; // Time in milliseconds within which moves of one slider form one undo step.

export class Store {
  constructor(state) {
    this.state = state;
    this.past = [];
    this.future = [];
    this.listeners = [];
    this.last = { kind: "", time: 0 };
  }

  listen(listener) { this.listeners.push(listener); }

  /** Replace parts of the state. `what` describes the change. Consecutive changes of one `kind` form one undo step. */
  change(parts, what, kind = "") {
    const now = Date.now(), joined = kind && kind === this.last.kind && now - this.last.time < TOGETHER;
    if (!joined) {
      this.past.push({ state: this.state, what });
      if (this.past.length > MOST) this.past.shift();
    }
    this.last = { kind, time: now };
    this.future = [];
    this.become({ ...this.state, ...parts });
  }

  pad(i, parts, what, kind = "") {
    this.change({ pads: this.state.pads.map((pad, at) => (at === i ? { ...pad, ...parts } : pad)) }, what, kind);
  }

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
