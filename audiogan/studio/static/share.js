// Kit and patterns in the fragment of the URL and in kit.json. A fragment is deflated JSON in URL-safe Base64: version 1
// contains all values, version 2 is a short link (see short.js).

import { packPatterns, unpackPatterns } from "./pattern.js";
import { expand } from "./short.js";

const MAX_BYTES = 1 << 20; // Largest size of an unpacked fragment, in bytes.

/** Return the content of a link: [model, fingerprint, tempo, swing, patterns, pads]. */
export function content(state, model) {
  return [model.name, model.fingerprint, state.tempo, state.swing, packPatterns(state), state.pads.map(packPad)];
}

const flags = ({ mute, solo }) => (mute ? 1 : 0) + (solo ? 2 : 0);

export function packPad(pad) {
  const { name, note, locked, level = 0, pan = 0, tune = 0, from = null, recipe: { latent, classes, knobs, seed, truncation } } = pad;
  return [name, note, locked ? 1 : 0, latent, classes, knobs, seed, truncation, level, pan, tune, flags(pad), from];
}

export const encode = async (state, model) => `1.${await pack(content(state, model))}`;

/** Decode the state in a fragment. Throws an Error if it is incomplete, damaged or of another model. */
export async function decode(fragment, model) {
  let content;
  try {
    if (!/^[12]\./.test(fragment)) throw new Error();
    content = await unpack(fragment.slice(2));
  } catch {
    throw new Error("The link to this kit is incomplete; here is a new kit.");
  }
  const [name, fingerprint] = Array.isArray(content) ? content : [];
  if (name !== model.name || fingerprint !== model.fingerprint) {
    throw new Error(
      `The link contains a kit of the model “${String(name).slice(0, 40)}” (${String(fingerprint).slice(0, 8)}); ` +
      `this studio plays “${model.name}” (${model.fingerprint}), which would give other sounds. Here is a new kit.`);
  }
  if (fragment.startsWith("2.")) content = await expand(content);
  const [, , tempo, swing, packed, pads] = content ?? [];
  const patterns = unpackPatterns(packed);
  const whole = patterns && isTempo(tempo, swing) && Array.isArray(pads) && pads.length === 16 && pads.every(isPad);
  if (!whole) throw new Error("The link to this kit is damaged; here is a new kit.");
  return {
    tempo, swing, ...patterns,
    pads: pads.map(([name, note, locked, latent, classes, knobs, seed, truncation, level = 0, pan = 0, tune = 0, switches = 0, from = null]) => ({
      name, note, level, pan, tune, ...switched(switches), locked: Boolean(locked), from,
      recipe: { model: model.name, latent, classes, knobs, seed, truncation },
    })),
  };
}

// --- kit files

/** Return a pad for the server. */
export const wire = ({ name, note, recipe, level, pan, tune, layers }) => ({ name, note, recipe, level, pan, tune, ...(layers ? { layers } : {}) });

/**
 * Return the part of a state that kit.json stores in addition to the sounds: tempo, swing, patterns, locks, mutes and solos, and
 * the seed of the kit from which each pad comes.
 */
export function packSession(state) {
  const { tempo, swing, pads } = state;
  return { tempo, swing, patterns: packPatterns(state), seeds: pads.map((pad) => pad.from ?? null), switches: pads.map((pad) => flags(pad) + (pad.locked ? 4 : 0)) };
}

/** Return {tempo, swing, pattern, patterns, settings} of `packSession`, or null if it is missing or damaged. `settings` are {mute, solo, locked, from} of each pad. */
export function unpackSession(session) {
  const { tempo, swing, patterns: packed, seeds, switches } = session ?? {}, patterns = unpackPatterns(packed);
  if (!patterns || !isTempo(tempo, swing) || !Array.isArray(switches) || !Array.isArray(seeds)) return null;
  const settings = switches.slice(0, 16).map((x, i) => ({ ...switched(x), locked: Boolean(x & 4), from: isSeed(seeds[i]) ? seeds[i] : null }));
  return { tempo, swing, ...patterns, settings };
}

const isSeed = (x) => Number.isSafeInteger(x) && x >= 0;
const switched = (flags) => ({ mute: Boolean(flags & 1), solo: Boolean(flags & 2) });
const isTempo = (tempo, swing) => number(tempo, 40, 240) && number(swing, 50, 75);
const number = (x, low, high) => typeof x === "number" && x >= low && x <= high;
const table = (x) => x !== null && typeof x === "object" && !Array.isArray(x) && Object.values(x).every((v) => typeof v === "number");
const isPad = (pad) => Array.isArray(pad) && typeof pad[0] === "string" && pad[0].length <= 100 && number(pad[1], 0, 127) &&
  typeof pad[3] === "string" && table(pad[4]) && table(pad[5]) &&
  (pad[6] === null || Number.isSafeInteger(pad[6])) && (pad[7] === null || number(pad[7], 0, 100)) &&
  number(pad[8] ?? 0, -24, 12) && number(pad[9] ?? 0, -1, 1) && number(pad[10] ?? 0, -24, 24) && // Older links have no level, pan and tune.
  ((pad[12] ?? null) === null || isSeed(pad[12]));

// --- packing

/** Return a value as deflated JSON in URL-safe Base64. */
export async function pack(value) {
  const packed = await through(new TextEncoder().encode(JSON.stringify(value)), new CompressionStream("deflate-raw"));
  let binary = "";
  for (const byte of packed) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(await through(bytes, new DecompressionStream("deflate-raw"))));
}

async function through(bytes, stream) {
  const reader = new Blob([bytes]).stream().pipeThrough(stream).getReader();
  const parts = [];
  let size = 0;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    parts.push(value);
    size += value.length;
    if (size > MAX_BYTES) { reader.cancel().catch(() => {}); throw new Error("too large"); }
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}
