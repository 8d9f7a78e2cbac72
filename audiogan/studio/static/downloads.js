// Downloads: one sound, the kit, and the pattern as a loop, as stems or as a MIDI file.

import * as api from "./api.js";
import { wav24 } from "./audio.js";
import { element, label } from "./looks.js";
import { LETTERS, audible, isEmpty, soundingPattern } from "./pattern.js";
import { notes } from "./sequencer.js";
import { packSession, wire } from "./share.js";

const LAYERS = [1, 2, 3, 4, 6, 8, 12, 16]; // Numbers of velocity layers.
const find = (id) => document.getElementById(id);
const fileName = (text) => text.replace(/[^\w.-]+/g, "-");
const soundName = ({ recipe }, i) => fileName(`${label(recipe) || "sound"}-${recipe.seed ?? `pad${i + 1}`}`);

function save(blob, name) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Return the kit for the server, with the chosen layers, sample rate and bits of sound files. */
export function wantedKit({ store }) {
  const chosen = (id) => Number(find(id).value);
  return { pads: store.state.pads.map(wire), layers: chosen("layers"), sample_rate: chosen("rate"), bits: chosen("bits") };
}

// The WAV file of the chosen pad is prepared in advance, because dragging the pad to another program needs it at once.
let prepared = { wanted: "", blob: null };
const soundWanted = (studio, i) => JSON.stringify({ ...wantedKit(studio), layers: 1, pad: i });

async function prepare(studio, i) {
  const wanted = soundWanted(studio, i);
  if (prepared.wanted === wanted) return;
  prepared = { wanted, blob: null };
  const blob = await api.soundFile(JSON.parse(wanted));
  if (prepared.wanted === wanted) prepared.blob = blob;
}

/**
 * Return {name, url} of the WAV file of a pad, which can be dragged to other programs. While the file is not ready, this is
 * the sound of the page, at the sample rate of the model. null while the sound is loading.
 */
export function soundFile(studio, i) {
  const ready = prepared.wanted === soundWanted(studio, i) && prepared.blob, buffer = studio.buffer(i);
  if (!ready && !buffer) return null;
  const url = URL.createObjectURL(ready || wav24(buffer, studio.gain).blob);
  setTimeout(() => URL.revokeObjectURL(url), 600_000);
  return { name: `${soundName(studio.store.state.pads[i], i)}.wav`, url };
}

/** Return a pattern for the server: {tempo, beats, notes: [[beat, MIDI note, velocity] ...]}. */
export function patternNotes(state, index) {
  const { steps, grid } = soundingPattern(state, index), { tempo, swing, pads } = state;
  const played = notes({ grid, steps, tempo, swing: swing / 100 });
  return { tempo, beats: steps / 4, notes: played.map(({ pad, velocity, time }) => [Math.round((time * tempo * 1e6) / 60) / 1e6, pads[pad].note, velocity]) };
}

/** Tell the user and return true if nothing would sound in the chosen pattern. */
function nothingSounds(studio) {
  const { state } = studio.store;
  if (!isEmpty(soundingPattern(state, state.pattern))) return false;
  const muted = !isEmpty(state.patterns[state.pattern]) && audible(state.pads).includes(false);
  studio.say(muted ? "All pads of the pattern are muted" : "There is no step in the pattern yet", true);
  return true;
}

export function connectDownloads(studio) {
  const { model, store } = studio, click = (id, work) => find(id).addEventListener("click", () => studio.attempt(work));
  const title = () => `pattern-${LETTERS[store.state.pattern]}-${store.state.tempo}bpm`;
  const pattern = (work) => async () => { if (!nothingSounds(studio)) await work(); };
  find("format").append(...model.formats.map(({ name, title: text }) => element("option", { value: name }, text)), element("option", { value: "json" }, "Kit file to open again"));
  find("layers").append(...LAYERS.map((n) => element("option", { value: n }, n === 1 ? "1 layer" : `${n} layers`)));
  find("rate").append(...model.rates.map((rate) => element("option", { value: rate }, `${rate / 1000} kHz`)));

  let timer = 0;
  document.addEventListener("pad-chosen", ({ detail }) => {
    clearTimeout(timer);
    timer = setTimeout(() => prepare(studio, detail).catch(() => {}), 150); // An error appears when the sound is downloaded.
  });

  click("pad-save", async () => {
    const i = studio.chosen, blob = await api.soundFile({ ...wantedKit(studio), pad: i });
    save(blob, `${soundName(store.state.pads[i], i)}.${blob.type === "audio/wav" ? "wav" : "zip"}`);
  });
  click("save-kit", async () => {
    const patterns = store.state.patterns.flatMap((one, i) => (isEmpty(one) ? [] : [{ name: LETTERS[i], ...patternNotes(store.state, i) }]));
    const format = find("format").value, wanted = { ...wantedKit(studio), session: packSession(store.state) };
    studio.say("The kit is being made …");
    if (format === "json") save(await api.kitText(wanted), fileName(`${model.name}-kit.json`));
    else save(await api.kitFile({ ...wanted, patterns, format, name: `${model.name} kit` }), fileName(`${model.name}-kit-${format}.zip`));
    studio.say("The kit is downloaded");
  });
  click("save-midi", pattern(async () => {
    save(await api.patternFile(patternNotes(store.state, store.state.pattern)), `${title()}.mid`);
    studio.say("The MIDI file is downloaded");
  }));
  const loop = (stems) => api.loopFile({ ...wantedKit(studio), pattern: patternNotes(store.state, store.state.pattern), stems });
  const softer = (attenuation) => (attenuation > 0 ? `, ${attenuation.toFixed(1)} dB softer than the kit, so that they do not clip` : "");
  click("save-loop", pattern(async () => {
    const { blob, attenuation } = await loop(false);
    save(blob, `${title()}.wav`);
    studio.say(`The loop is downloaded${softer(attenuation).replace("they do", "it does")}`);
  }));
  click("save-stems", pattern(async () => {
    studio.say("The stems are being made …");
    const { blob, attenuation } = await loop(true);
    save(blob, `${title()}-stems.zip`);
    studio.say(`The stems are downloaded${softer(attenuation)}`);
  }));
}
