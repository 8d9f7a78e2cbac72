// Kit and pattern in the fragment of the URL: version 1, deflated JSON in URL-safe Base64.

import { packPatterns, unpackPatterns } from "./pattern.js";

const VERSION = "1.";
const LARGEST = 1 << 20; // Largest size of an unpacked fragment, in bytes.

export async function encode(state, model) {
  const pads = state.pads.map(({ name, note, locked, level = 0, pan = 0, tune = 0, mute, solo, recipe: { latent, classes, knobs, seed, truncation } }) => [
    name, note, locked ? 1 : 0, latent, classes, knobs, seed, truncation, level, pan, tune, (mute ? 1 : 0) + (solo ? 2 : 0),
  ]);
  const text = JSON.stringify([model.name, model.fingerprint, state.tempo, state.swing, packPatterns(state), pads]);
  const packed = await through(new TextEncoder().encode(text), new CompressionStream("deflate-raw"));
  let binary = "";
  for (const byte of packed) binary += String.fromCharCode(byte);
  return VERSION + btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** Decode the state in a fragment. Throws an Error if it is incomplete, damaged or of another model. */
export async function decode(fragment, model) {
  let content;
  try {
    if (!fragment.startsWith(VERSION)) throw new Error();
    const binary = atob(fragment.slice(VERSION.length).replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (letter) => letter.charCodeAt(0));
    content = JSON.parse(new TextDecoder().decode(await through(bytes, new DecompressionStream("deflate-raw"))));
  } catch {
    throw new Error("The link to this kit is incomplete; here is a new kit.");
  }
  const [name, fingerprint, tempo, swing, packed, pads] = Array.isArray(content) ? content : [];
  if (name !== model.name || fingerprint !== model.fingerprint) {
    throw new Error(
      `The link contains a kit of the model “${String(name).slice(0, 40)}” (${String(fingerprint).slice(0, 8)}); ` +
      `this studio plays “${model.name}” (${model.fingerprint}), which would give other sounds. Here is a new kit.`);
  }
  const patterns = unpackPatterns(packed);
  const whole = patterns && number(tempo, 40, 240) && number(swing, 50, 75) && Array.isArray(pads) && pads.length === 16 && pads.every(isPad);
  if (!whole) throw new Error("The link to this kit is damaged; here is a new kit.");
  return {
    tempo, swing, ...patterns,
    pads: pads.map(([name, note, locked, latent, classes, knobs, seed, truncation, level = 0, pan = 0, tune = 0, flags = 0]) => ({
      name, note, locked: Boolean(locked), level, pan, tune, mute: Boolean(flags & 1), solo: Boolean(flags & 2),
      recipe: { model: model.name, latent, classes, knobs, seed, truncation },
    })),
  };
}

const number = (x, low, high) => typeof x === "number" && x >= low && x <= high;
const table = (x) => x !== null && typeof x === "object" && !Array.isArray(x) && Object.values(x).every((v) => typeof v === "number");
const isPad = (pad) => Array.isArray(pad) && typeof pad[0] === "string" && pad[0].length <= 100 && number(pad[1], 0, 127) &&
  typeof pad[3] === "string" && table(pad[4]) && table(pad[5]) &&
  (pad[6] === null || Number.isSafeInteger(pad[6])) && (pad[7] === null || number(pad[7], 0, 100)) &&
  number(pad[8] ?? 0, -24, 12) && number(pad[9] ?? 0, -1, 1) && number(pad[10] ?? 0, -24, 24); // Older links have no level, pan and tune.

async function through(bytes, stream) {
  const reader = new Blob([bytes]).stream().pipeThrough(stream).getReader();
  const parts = [];
  let size = 0;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    parts.push(value);
    size += value.length;
    if (size > LARGEST) { reader.cancel().catch(() => {}); throw new Error("too large"); }
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}
