// Recordings of the user: those of the folder of `audiogan studio --recordings`, and files that are added in the page.

import { complaint, post } from "./api.js";
import { readable } from "./decode.js";

const POLL = 400; // Time between two requests while the server reads its folder, in milliseconds.
const MAX_UPLOADS = 3; // Number of uploads at the same time.
const MAX_FILES = 1000; // Largest number of files that are added at once.
const SOUND = /\.(wav|wave|bwf|flac|ogg|oga|opus|mp3|aif|aiff|aifc|au|snd|caf|m4a|mp4|aac|webm)$/i;

async function request(path, options) {
  const response = await fetch(path, options);
  if (!response.ok) throw new Error(await complaint(response));
  return response;
}

/** Return {recordings: [{id, name, label}], folder, skipped}. `progress(text, share)` is called while the server reads its folder. */
export async function recordings(progress = () => {}) {
  for (;;) {
    const state = await (await request("/api/recordings")).json();
    if (!state.reading) return state;
    progress(`Reading the recordings … ${state.total ? `${state.read} of ${state.total}` : ""}`, state.total ? state.read / state.total : 0);
    await new Promise((done) => setTimeout(done, POLL));
  }
}

export const removeRecordings = () => request("/api/recordings", { method: "DELETE" });
export const recordingBytes = async (id) => (await request(`/api/recordings/${id}.wav`)).arrayBuffer();

/** Return a sound of the server as a file, for example for an imitation. */
export async function recordingFile({ id, name }) {
  return new File([await recordingBytes(id)], name.split("/").at(-1), { type: "audio/wav" });
}

/** Add files, given as [{path, file}]. Returns {added, problems}, where problems are one-line messages. `progress(done, total)` is called after each file. */
export async function addRecordings(found, progress = () => {}) {
  const sounds = found.filter(({ file }) => SOUND.test(file.name) || file.type.startsWith("audio/")).slice(0, MAX_FILES);
  const problems = sounds.length ? [] : ["There is no sound file among these files"];
  let added = 0, done = 0;
  const waiting = [...sounds];
  const worker = async () => {
    for (let next; (next = waiting.shift()); progress(++done, sounds.length)) {
      try {
        const query = new URLSearchParams({ name: next.path });
        await post(`/api/recordings?${query}`, await readable(next.file), { "Content-Type": "application/octet-stream" });
        added += 1;
      } catch (error) {
        problems.push(error.message);
      }
    }
  };
  await Promise.all(Array.from({ length: MAX_UPLOADS }, worker));
  return { added, problems };
}

/** Return the files of a file input as [{path, file}]. */
export const chosenFiles = (input) => [...input.files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));

/** Return the files that were dropped, and those in dropped folders, as [{path, file}]. */
export async function droppedFiles(dataTransfer) {
  const entries = [...dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...dataTransfer.files].map((file) => ({ path: file.name, file }));
  const found = [];
  const visit = async (entry, depth) => {
    if (found.length >= MAX_FILES || depth > 8) return;
    if (entry.isFile) {
      const file = await new Promise((done, failed) => entry.file(done, failed));
      found.push({ path: entry.fullPath.replace(/^\//, ""), file });
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const part = await new Promise((done, failed) => reader.readEntries(done, failed)); // Each call returns at most 100 entries.
      if (!part.length) return;
      for (const inner of part) await visit(inner, depth + 1);
    }
  };
  for (const entry of entries) await visit(entry, 0);
  return found;
}
