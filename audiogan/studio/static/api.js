// Requests to the API of the studio. Every failure becomes an Error with a one-line message.

const TRIES = 6;

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

export async function model() {
  const response = await fetch("/api/model");
  if (!response.ok) throw new Error(await complaint(response));
  return response.json();
}
export const kit = (seed, locked) => json("/api/kit", { seed, locked });
export const sounds = async (wanted) => (await json("/api/sounds", wanted)).recipes;
export const vary = async (recipe, amount) => (await json("/api/vary", { recipe, amount })).recipes[0];
export const morph = async (a, b, steps) => (await json("/api/morph", { a, b, steps })).recipes;
export const render = async (recipe) => (await post("/api/render", JSON.stringify({ recipe }))).arrayBuffer();
export const kitFile = async (wanted) => (await post("/api/kit.zip", JSON.stringify(wanted))).blob();

export const patternFile = async (wanted) => (await post("/api/pattern.mid", JSON.stringify(wanted))).blob();

/** Find the sound nearest to a recording. Resolves to {recipe, distance}. `progress` is called with 0 ... 1. An aborted `signal` stops the search (AbortError). */
export async function imitate(file, label, seconds, progress, signal) {
  const query = new URLSearchParams({ seconds, ...(label ? { label } : {}) });
  const response = await post(`/api/imitate?${query}`, file, { "Content-Type": "application/octet-stream" }, signal);
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
  if (last.error || !last.recipe) throw new Error(last.error || "The imitation ended without a sound");
  return last;
}
