// Opening of kits and sounds from files: kit.json, the ZIP archive of a kit, or a WAV file with its recipe.

import * as api from "./api.js";
import { MIX, grooves } from "./pattern.js";
import { unpackSession } from "./share.js";

const find = (id) => document.getElementById(id);
const isKit = ({ name }) => /\.(json|zip)$/i.test(name);
const isWav = async (file) => (await file.slice(0, 4).text()) === "RIFF";

/** Return the state of an opened kit. `before` is the current state or null; its patterns stay if the kit has none. */
export function openedState({ pads, session }, before) {
  const saved = unpackSession(session), made = pads.map((pad, i) => ({ ...MIX, ...pad, locked: false, from: null, ...saved?.settings[i] }));
  if (!saved) return { tempo: 112, swing: 54, pattern: 0, patterns: before?.patterns ?? grooves(made), ...before, pads: made };
  const { settings, ...rest } = saved;
  return { ...rest, pads: made };
}

/** Show in the download settings how many velocity layers the opened kit has. */
function showLayers(layers) {
  const options = [...find("layers").options];
  find("layers").value = (options.find(({ value }) => Number(value) >= layers) ?? options.at(-1)).value;
}

/** Open a file that contains a kit, or a sound with its recipe. */
async function openKit(studio, file) {
  const kit = await fetchOpened(studio, file);
  if (kit.recipe !== undefined) return openSound(studio, kit, file);
  studio.store.change(openedState(kit, studio.store.state), `opened ${file.name}`);
  showLayers(kit.layers);
  studio.say(`${file.name} is open${kit.note ? `: ${kit.note}` : ""}`);
  return undefined;
}

function openSound(studio, { recipe, note }, file, i = studio.chosen) {
  if (!recipe) throw new Error(`${file.name}: ${note}`);
  studio.choose(i);
  studio.change(i, recipe, `${file.name} on pad ${i + 1}`);
  studio.say(`${file.name} is on pad ${i + 1}`);
}

function fetchOpened({ model }, file) {
  const { opened_bytes: most } = model.limits;
  if (file.size > most) throw new Error(`${file.name} is larger than ${Math.round(most / 2 ** 20)} MB; open its kit.json instead`);
  return api.open(file);
}

/** Open a file that was dropped on a pad: a kit, a sound with its recipe, or else a recording to imitate. */
async function drop(studio, i, file) {
  if (isKit(file)) return openKit(studio, file);
  if (file.size <= studio.model.limits.opened_bytes && await isWav(file)) {
    const found = await fetchOpened(studio, file);
    if (found.recipe) return openSound(studio, found, file, i);
  }
  return studio.imitate(i, file);
}

export function connectOpen(studio, kit) {
  if (kit) showLayers(kit.layers);
  if (kit?.note) studio.say(kit.note);
  studio.drop = (i, file) => studio.attempt(() => drop(studio, i, file));
  const open = (file) => studio.attempt(() => openKit(studio, file)), chooser = find("open-input");
  find("open-kit").addEventListener("click", () => chooser.click());
  chooser.addEventListener("change", () => {
    const [file] = chooser.files;
    if (file) open(file);
    chooser.value = "";
  });
  addEventListener("drop", (event) => {
    const [file] = event.dataTransfer?.files ?? [];
    if (file && !event.target.closest?.(".pad, #panels")) open(file);
  });
}
