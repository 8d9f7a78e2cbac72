// Downloads: one sound, the kit, and the pattern as a loop, as stems or as a MIDI file.

import * as api from "./api.js";
import { wav24 } from "./audio.js";
import { element, hatGroup, label, plain } from "./looks.js";
import { LETTERS, audible, isEmpty, soundingPattern } from "./pattern.js";
import { notes, renderLoop } from "./sequencer.js";
import { zip } from "./zip.js";

const find = (id) => document.getElementById(id);
const fileName = (text) => text.replace(/[^\w.-]+/g, "-");
const soundName = ({ recipe }, i) => fileName(`${label(recipe) || "sound"}-${recipe.seed ?? `pad${i + 1}`}.wav`);

function save(blob, name) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Return {name, url} of the WAV file of a pad, which can be dragged to other programs. null while the sound is loading. */
export function soundFile(studio, i) {
  const buffer = studio.buffer(i);
  if (!buffer) return null;
  const url = URL.createObjectURL(wav24(buffer).blob);
  setTimeout(() => URL.revokeObjectURL(url), 600_000);
  return { name: soundName(studio.store.state.pads[i], i), url };
}

/** Return a pattern for the server: {tempo, beats, notes: [[beat, MIDI note, velocity] ...]}. */
export function patternNotes(state, index) {
  const { steps, grid } = soundingPattern(state, index), { tempo, swing, pads } = state;
  const played = notes({ grid, steps, tempo, swing: swing / 100 });
  return { tempo, beats: steps / 4, notes: played.map(({ pad, velocity, time }) => [Math.round((time * tempo * 1e6) / 60) / 1e6, pads[pad].note, velocity]) };
}

/** Return the settings of `renderLoop` for the chosen pattern. */
async function loopSettings(studio) {
  const { store: { state }, model } = studio, { steps, grid } = soundingPattern(state, state.pattern);
  const buffers = await Promise.all(state.pads.map((pad, i) => (grid[i].some(Boolean) ? studio.sound(pad.recipe) : null)));
  return { grid, steps, tempo: state.tempo, swing: state.swing / 100, buffers, chokes: state.pads.map(hatGroup), mixes: state.pads, rate: model.sample_rate };
}

/** Return one WAV file for each pad that sounds, as [{name, blob}]. All are as long as the loop and equally loud in relation to it. */
async function stemFiles(studio) {
  const settings = await loopSettings(studio), { pads } = studio.store.state, files = [];
  for (const [i, pad] of pads.entries()) {
    if (!settings.grid[i].some(Boolean)) continue;
    // A hat is cut by other hats. They are rendered without being heard.
    const buffers = settings.buffers.map((buffer, at) => (at === i || (buffer && settings.chokes[i] && settings.chokes[at] === settings.chokes[i]) ? buffer : null));
    const stem = await renderLoop({ ...settings, buffers, silent: pads.map((_, at) => at !== i) });
    files.push({ name: fileName(`${String(i + 1).padStart(2, "0")}-${plain(pad.name)}.wav`), stem });
  }
  const channels = files.flatMap(({ stem }) => Array.from({ length: stem.numberOfChannels }, (_, c) => stem.getChannelData(c)));
  const peak = Math.max(1, ...channels.map((samples) => samples.reduce((most, x) => Math.max(most, Math.abs(x)), 0)));
  for (const samples of channels) samples.forEach((x, at) => { samples[at] = x / peak; }); // One gain for all stems keeps their balance.
  return files.map(({ name, stem }) => ({ name, blob: wav24(stem).blob }));
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
  find("format").append(...model.formats.map(({ name, title: text }) => element("option", { value: name }, text)));
  find("rate").append(...model.rates.map((rate) => element("option", { value: rate }, `${rate / 1000} kHz`)));

  click("pad-save", async () => {
    const pad = store.state.pads[studio.chosen];
    save(new Blob([await api.render(pad.recipe)], { type: "audio/wav" }), soundName(pad, studio.chosen));
  });
  click("save-kit", async () => {
    const pads = store.state.pads.map(({ name, note, recipe, level, pan, tune }) => ({ name, note, recipe, level, pan, tune }));
    const patterns = store.state.patterns.flatMap((one, i) => (isEmpty(one) ? [] : [{ name: LETTERS[i], ...patternNotes(store.state, i) }]));
    const format = find("format").value;
    studio.say("The kit is being made …");
    const wanted = { pads, patterns, format, name: `${model.name} kit`, sample_rate: Number(find("rate").value), bits: Number(find("bits").value) };
    save(await api.kitFile(wanted), fileName(`${model.name}-kit-${format}.zip`));
    studio.say("The kit is downloaded");
  });
  click("save-midi", pattern(async () => {
    save(await api.patternFile(patternNotes(store.state, store.state.pattern)), `${title()}.mid`);
    studio.say("The MIDI file is downloaded");
  }));
  click("save-loop", pattern(async () => {
    const { blob, gain } = wav24(await renderLoop(await loopSettings(studio)));
    save(blob, `${title()}.wav`);
    studio.say(gain < 1 ? `The loop is downloaded, ${(-20 * Math.log10(gain)).toFixed(1)} dB softer, so that it does not clip` : "The loop is downloaded");
  }));
  click("save-stems", pattern(async () => {
    studio.say("The stems are being made …");
    const files = await stemFiles(studio);
    save(await zip(files), `${title()}-stems.zip`);
    studio.say(`${files.length} stems are downloaded`);
  }));
}
