// Drag and drop: pads onto pads, other sounds and recordings onto pads, and pads into other programs.

import { PAD_CODES } from "./pads.js";
import { arrow } from "./looks.js";

const PAD = "application/x-audiogan-pad"; // Type of the drag data of a pad: its index.
const SOUND = "application/x-audiogan-sound"; // Type of the drag data of any other sound. The data are empty; the variable `dragged` holds the sound.
let dragged = null;

/** Make an element draggable onto pads. `sound()` returns {recipe, what} or {file, what}, where `file` is a function that returns a Promise of a File. */
export function dragSound(root, sound) {
  root.draggable = true;
  root.addEventListener("dragstart", ({ dataTransfer }) => {
    dragged = sound();
    dataTransfer.effectAllowed = "copy";
    dataTransfer.setData(SOUND, "");
  });
  root.addEventListener("dragend", () => { dragged = null; });
}

/** Swap two pads with all their settings. The rows of the patterns are swapped too, so that the patterns sound as before. */
export function swapPads(studio, a, b) {
  const { pads, patterns } = studio.store.state;
  const swapped = (list) => list.with(a, list[b]).with(b, list[a]);
  studio.store.change({ pads: swapped(pads), patterns: patterns.map((one) => ({ ...one, grid: swapped(one.grid) })) }, `swap of pads ${a + 1} and ${b + 1}`);
  studio.choose(b);
  studio.say(`Pads ${a + 1} and ${b + 1} are swapped`);
}

/** Connect the pads. `file(i)` returns {name, url} of the WAV file of a pad, or null. */
export function connectDrag(studio, file) {
  studio.pads.pads.forEach(({ box, button }, i) => connectPad(studio, file, box, button, i));
}

function connectPad(studio, file, box, button, i) {
  button.addEventListener("pointerdown", ({ pointerType }) => { button.draggable = pointerType === "mouse"; }); // A finger that rests on a pad does not drag it.
  button.addEventListener("dragstart", ({ dataTransfer }) => {
    const wav = file(i);
    dataTransfer.effectAllowed = "copyMove";
    dataTransfer.setData(PAD, String(i));
    if (wav) dataTransfer.setData("DownloadURL", `audio/wav:${wav.name}:${wav.url}`); // Chromium saves this file on the desktop and in DAWs.
  });
  box.addEventListener("dragover", (event) => {
    const { dataTransfer } = event, copies = event.ctrlKey || event.altKey || !dataTransfer.types.includes(PAD);
    event.preventDefault();
    dataTransfer.dropEffect = copies ? "copy" : "move";
    box.classList.add("over");
  });
  box.addEventListener("dragleave", (event) => box.contains(event.relatedTarget) || box.classList.remove("over"));
  box.addEventListener("drop", (event) => {
    const { dataTransfer } = event, from = Number(dataTransfer.getData(PAD) || NaN), sound = dragged;
    event.preventDefault();
    box.classList.remove("over");
    if (from in PAD_CODES && from !== i) event.ctrlKey || event.altKey ? studio.copy(from, i) : swapPads(studio, from, i);
    else if (dataTransfer.types.includes(SOUND) && sound) studio.attempt(() => putOnPad(studio, i, sound));
    else if (!dataTransfer.types.includes(PAD) && dataTransfer.files.length) studio.drop(i, dataTransfer.files[0]);
  });
  button.addEventListener("keydown", (event) => {
    const to = event.altKey && !event.ctrlKey && !event.metaKey ? arrow(event.key, i, 4, 4) : undefined;
    if (to === undefined || !event.key.startsWith("Arrow")) return;
    event.preventDefault();
    event.stopPropagation();
    swapPads(studio, i, to);
    studio.pads.pads[to].button.focus();
  });
}

/** Put a sound on a pad. A recording is imitated. */
export async function putOnPad(studio, i, { recipe, file, what }) {
  studio.choose(i);
  if (recipe) studio.change(i, recipe, `${what} on pad ${i + 1}`);
  else await studio.imitate(i, await file());
}
