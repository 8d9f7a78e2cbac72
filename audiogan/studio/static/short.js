// Short links. A pad is stored as its differences from a pad of the kit that `/api/kit` makes from a seed. A kit without
// changes therefore needs no latents. Latents of changed pads are stored with the largest number of bits that fits.

import * as api from "./api.js";
import { content, pack } from "./share.js";

export const LONGEST = 2000; // Maximum number of characters of a short link.
const PRECISIONS = [[32, 17], [20, 6], [16, 5], [12, 4], [10, 4], [9, 3], [8, 3], [7, 3], [6, 2], [5, 2]]; // Bits of a latent value, and decimals of a knob.
const LATENT = 3, KNOBS = 5, FROM = 12, FIELDS = 13; // Indices in the array of a pad in a link, see `packPad`.
const MOST_SEEDS = 16;
const kits = new Map(); // Seed -> pads of its kit, as in a link.

/** Return the pads of the kit that `/api/kit` makes from a seed, in the format of a link. */
async function kitOf(seed) {
  if (!kits.has(seed)) {
    const { pads } = await api.kit(seed, []);
    kits.set(seed, pads.map(({ name, note, recipe: { latent, classes, knobs, seed: drawn, truncation } }) => [name, note, 0, latent, classes, knobs, drawn, truncation, 0, 0, 0, 0, seed]));
  }
  return kits.get(seed);
}

/**
 * Return {address, approximate}: the short link to a state, and the number of pads whose sounds it contains only
 * approximately. `prefix` is the link without its fragment. Throws an Error if the state does not fit in a short link.
 */
export async function shortLink(state, model, prefix) {
  const [name, fingerprint, tempo, swing, patterns, pads] = content(state, model);
  const seeds = [...new Set(pads.map((pad) => pad[FROM] ?? 0))];
  const bases = await Promise.all(seeds.map(kitOf));
  for (const [bits, decimals] of PRECISIONS) {
    let approximate = 0;
    const stored = pads.map((pad, i) => {
      const which = seeds.indexOf(pad[FROM] ?? 0), kit = bases[which];
      const same = kit.findIndex((one) => one[LATENT] === pad[LATENT]), place = same < 0 ? i : same;
      const changes = {};
      let exact = true;
      for (let k = 0; k < FIELDS; k++) {
        if (JSON.stringify(pad[k]) === JSON.stringify(kit[place][k])) continue;
        changes[k] = k === LATENT ? reduce(pad[k], bits) : k === KNOBS ? rounded(pad[k], decimals) : pad[k];
        if (k === LATENT) exact &&= bits === 32;
        if (k === KNOBS) exact &&= JSON.stringify(changes[k]) === JSON.stringify(pad[k]);
      }
      if (!exact) approximate += 1;
      return [which, place, ...(Object.keys(changes).length ? [changes] : [])];
    });
    const address = `${prefix}#2.${await pack([name, fingerprint, tempo, swing, patterns, seeds, stored])}`;
    if (address.length <= LONGEST) return { address, approximate };
  }
  throw new Error(`This kit does not fit in a link of ${LONGEST.toLocaleString("en")} characters; download it as a kit file`);
}

/** Return the content of a short link in the format of version 1 (see share.js), or null if the link is damaged. */
export async function expand([name, fingerprint, tempo, swing, patterns, seeds, stored]) {
  const whole = Array.isArray(seeds) && seeds.length <= MOST_SEEDS && seeds.every((seed) => Number.isSafeInteger(seed) && seed >= 0) && Array.isArray(stored);
  if (!whole) return null;
  const bases = await Promise.all(seeds.map(kitOf));
  const pads = stored.map((pad) => {
    const [which, place, changes] = Array.isArray(pad) ? pad : [], base = bases[which]?.[place];
    return base && Array.from({ length: FIELDS }, (_, k) => {
      const value = Object.hasOwn(changes ?? {}, k) ? changes[k] : base[k];
      return k === LATENT ? restore(value) : value;
    });
  });
  return [name, fingerprint, tempo, swing, patterns, pads];
}

const rounded = (knobs, decimals) => Object.fromEntries(Object.entries(knobs).map(([name, x]) => [name, decimals > 10 ? x : Number(x.toFixed(decimals))]));
const bytesOf = (text) => Uint8Array.from(atob(/^[A-Za-z0-9+/]*=*$/.test(text) && text.length % 4 === 0 ? text : ""), (letter) => letter.charCodeAt(0));
const textOf = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));

/** Return a latent with fewer bits: [bits, number of values, largest absolute value, values in Base64]. With 32 bits, it is not changed. */
function reduce(latent, bits) {
  if (bits === 32) return latent;
  const values = new Float32Array(bytesOf(latent).buffer), peak = values.reduce((most, x) => Math.max(most, Math.abs(x)), 0) || 1;
  const packed = new Uint8Array(Math.ceil((values.length * bits) / 8)), top = 2 ** (bits - 1) - 1;
  values.forEach((x, i) => {
    const level = Math.round((x / peak) * top) + top;
    for (let bit = 0; bit < bits; bit++) if (level & (1 << bit)) packed[(i * bits + bit) >> 3] |= 1 << ((i * bits + bit) & 7);
  });
  return [bits, values.length, Number(peak.toPrecision(6)), textOf(packed)];
}

/** Undo `reduce`. */
function restore(latent) {
  if (!Array.isArray(latent)) return latent;
  const [bits, length, peak, text] = latent;
  const whole = Number.isInteger(bits) && bits >= 2 && bits <= 24 && Number.isInteger(length) && length >= 0 && length <= 4096 && Number.isFinite(peak) && typeof text === "string";
  if (!whole) return null;
  const packed = bytesOf(text), top = 2 ** (bits - 1) - 1;
  const values = Float32Array.from({ length }, (_, i) => {
    let level = 0;
    for (let bit = 0; bit < bits; bit++) level += (packed[(i * bits + bit) >> 3] >> ((i * bits + bit) & 7)) & 1 ? 2 ** bit : 0;
    return ((level - top) / top) * peak;
  });
  return textOf(new Uint8Array(values.buffer));
}
