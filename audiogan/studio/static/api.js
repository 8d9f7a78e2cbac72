// Requests to the API of the studio. Every failure becomes an Error with a one-line message.

const TRIES = 6;
const BYTES = { "Content-Type": "application/octet-stream" };

export async function post(path, body, headers = { "Content-Type": "application/json" }, signal = null) {
  for (let attempt = 1; ; attempt++) {
    let response;
    try {
      response = await fetch(path, { method: "POST", body, headers, signal });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Error("The studio does not respond; is it still running?");
    }
    if (response.ok) return response;
    if (response.status === 503 && attempt < TRIES) {
      const seconds = Number(response.headers.get("Retry-After")) || 1;
      await new Promise((done) => setTimeout(done, 1000 * seconds * (0.5 + Math.random())));
      continue;
    }
    throw new Error(await complaint(response));
  }
}

export async function complaint(response) {
  try {
    return (await response.json()).error;
  } catch {
    return `The studio answered ${response.status}`;
  }
}

export const json = async (path, content) => (await post(path, JSON.stringify(content))).json();

async function get(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(await complaint(response));
  return response;
}

export const model = async () => (await get("/api/model")).json();
export const kit = (seed, locked) => json("/api/kit", { seed, locked });
export const sounds = async (wanted) => (await json("/api/sounds", wanted)).recipes;
export const vary = async (recipe, amount) => (await json("/api/vary", { recipe, amount })).recipes[0];
export const morph = async (a, b, steps) => (await json("/api/morph", { a, b, steps })).recipes;
/** Return the bytes of the WAV file of a pad {recipe, level, pan, tune}, see `Voices.gain`. */
export const padSound = async (pad) => (await post("/api/pad.wav", JSON.stringify(pad))).arrayBuffer();
/** Return the gain of a kit, given its pads {recipe, level, pan, tune}. */
export const balance = async (pads) => (await json("/api/balance", { pads })).gain;
/** Return a WAV file of one pad of a kit, or a ZIP archive if it has several velocity layers. */
export const soundFile = async (wanted) => (await post("/api/sound", JSON.stringify(wanted))).blob();
/** Return {blob, attenuation}: a loop as a WAV file or its stems as a ZIP archive, and its attenuation in dB. */
export async function loopFile(wanted) {
  const response = await post("/api/loop", JSON.stringify(wanted));
  return { blob: await response.blob(), attenuation: Number(response.headers.get("X-Attenuation")) };
}
/** Open kit.json, the archive of a kit or a WAV file with its recipe. Resolves to {pads, layers, session, note} or {recipe, note}. */
export const open = async (file) => (await post("/api/open", file, BYTES)).json();
export const opened = async () => (await get("/api/opened")).json();
export const kitText = async (wanted) => (await post("/api/kit.json", JSON.stringify(wanted))).blob();
export const kitFile = async (wanted) => (await post("/api/kit.zip", JSON.stringify(wanted))).blob();

export const patternFile = async (wanted) => (await post("/api/pattern.mid", JSON.stringify(wanted))).blob();

/** Read a response of JSON lines. `progress` is called with 0 ... 1. Resolves to the last line, or throws its error. */
async function lastLine(response, progress) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "", last = {};
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    const lines = (text + value).split("\n");
    text = lines.pop();
    for (const line of lines) {
      last = JSON.parse(line);
      if ("progress" in last) progress(last.progress);
    }
  }
  if (last.error) throw new Error(last.error);
  return last;
}

/** Find the sound nearest to a recording. Resolves to {recipe, distance}. `progress` is called with 0 ... 1. An aborted `signal` stops the search (AbortError). */
export async function imitate(file, label, seconds, progress, signal) {
  const query = new URLSearchParams({ seconds, ...(label ? { label } : {}) });
  const last = await lastLine(await post(`/api/imitate?${query}`, file, BYTES, signal), progress);
  if (!last.recipe) throw new Error("The imitation ended without a sound");
  return last;
}

/** Return {models: [{id, name, kind}], first, limits: {upload_bytes, seconds}} of the page Apply. */
export const appliedModels = async () => (await get("/api/apply")).json();
/** Return the description of a model: {id, name, about, source, sample_rate, step, fields}. */
export const appliedModel = async (id) => (await get(`/api/apply/models/${encodeURIComponent(id)}`)).json();
/** Upload a recording. Resolves to {id, name, sample_rate, channels, frames, note}. */
export const addSound = async (file) => (await post(`/api/apply/sounds?${new URLSearchParams({ name: file.name })}`, file, BYTES)).json();
/** Return the bytes of the WAV file of an uploaded or made sound. */
export const soundBytes = async (id) => (await get(`/api/apply/sounds/${encodeURIComponent(id)}.wav`)).arrayBuffer();
/** Apply a model. `wanted` is {model, sound, inputs, seed, generator}. Resolves to {sound, seconds}. */
export async function apply(wanted, progress, signal) {
  const last = await lastLine(await post("/api/apply", JSON.stringify(wanted), undefined, signal), progress);
  if (!last.sound) throw new Error("The model ended without a sound; a shorter recording takes less time");
  return last;
}
