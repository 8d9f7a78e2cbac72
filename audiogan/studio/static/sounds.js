// Sounds of pads: rendered by the server, and kept in memory.

import * as api from "./api.js";
import { toBuffer } from "./audio.js";

const MAX_SOUNDS = 400; // Maximum number of sounds in memory.

const key = ({ recipe: { latent, classes, knobs, truncation }, level, pan, tune }) => JSON.stringify([latent, classes, knobs, truncation, level, pan, tune]);
export const soundOf = ({ recipe, level, pan, tune }) => ({ recipe, level, pan, tune });
export const sameSound = (a, b) => a === b || key(a) === key(b);

export class Sounds {
  constructor(context) {
    Object.assign(this, { context, buffers: new Map(), loading: new Map() });
  }

  /** Return the sound of a pad {recipe, level, pan, tune} as an AudioBuffer if it is in memory. */
  get(pad) { return this.buffers.get(key(pad)); }

  /** Return the sound of a pad from memory or from the server. */
  async load(pad) {
    const name = key(pad), { buffers, loading } = this;
    if (!buffers.has(name)) {
      if (!loading.has(name)) loading.set(name, api.padSound(soundOf(pad)).finally(() => loading.delete(name)));
      const bytes = await loading.get(name);
      if (!buffers.has(name)) buffers.set(name, toBuffer(this.context, bytes));
      if (buffers.size > MAX_SOUNDS) buffers.delete(buffers.keys().next().value);
    }
    return buffers.get(name);
  }
}
