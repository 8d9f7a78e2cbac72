// Storage of the state and its undo history in the tab (sessionStorage), so that they survive a reload.

const KEY = "audiogan-studio";
const MAX_STEPS = 80; // Maximum number of undo steps that are stored.
const MAX_CHARACTERS = 2_000_000; // Maximum number of characters that are stored.

/**
 * Pack states as JSON text. Pads and patterns that several states share are stored once.
 * Undo steps are {state, what}, from the oldest to the newest.
 */
function pack(store, model, address) {
  const shared = [], places = new Map();
  const place = (x) => {
    if (!places.has(x)) { places.set(x, shared.length); shared.push(x); }
    return places.get(x);
  };
  const flat = ({ pads, patterns, ...rest }) => ({ ...rest, pads: pads.map(place), patterns: patterns.map(place) });
  const entries = (list) => list.map(({ state, what }) => ({ state: flat(state), what }));
  const content = { fingerprint: model.fingerprint, address, now: flat(store.state), past: entries(store.past.slice(-MAX_STEPS)), future: entries(store.future.slice(-MAX_STEPS)) };
  return JSON.stringify({ ...content, shared });
}

/** Store the state and its history. `address` is the fragment of the URL that shows this state. */
export function keep(store, model, address) {
  try {
    let text = pack(store, model, address);
    if (text.length > MAX_CHARACTERS) text = pack({ ...store, past: store.past.slice(-10), future: [] }, model, address);
    if (text.length <= MAX_CHARACTERS) sessionStorage.setItem(KEY, text);
    else sessionStorage.removeItem(KEY);
  } catch { /* Without storage, the history lasts until the page is closed. */ }
}

/** Return {state, past, future} of this tab, or null if the URL or the model has changed. */
export function kept(model, address) {
  try {
    const { fingerprint, address: its, now, past, future, shared } = JSON.parse(sessionStorage.getItem(KEY));
    if (fingerprint !== model.fingerprint || its !== address) return null;
    const whole = (state) => ({ ...state, pads: state.pads.map((i) => shared[i]), patterns: state.patterns.map((i) => shared[i]) });
    const entries = (list) => list.map(({ state, what }) => ({ state: whole(state), what }));
    return { state: whole(now), past: entries(past), future: entries(future) };
  } catch {
    return null;
  }
}
