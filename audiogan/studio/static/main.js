// Start of the page: loads the model and the kit, and connects keys, downloads and the URL.

import * as api from "./api.js";
import { element, label, plain, visible } from "./looks.js";
import { CODES } from "./pads.js";
import { decode, encode } from "./share.js";
import { Store } from "./store.js";
import { Studio } from "./studio.js";

const find = (id) => document.getElementById(id);
const GROOVE = { // Initial pattern for the first pad of each class: x is on, X is accented.
  kick: "X.....x.x.X.....", snare: "....X.......X..x", hat_closed: "x.X.x.X.x.X.x.x.", hat_open: "..............x.",
  clap: "............x...", rim: "...x......x.....", perc: ".......x.x......",
};
const PLAIN = ["X.....x.X.......", "....X.......X...", "x.x.x.x.x.x.x.x."]; // Initial pattern for models without these classes.
const row = (text) => [...text].map((letter) => ".xX".indexOf(letter));

function groove(pads) {
  const free = { ...GROOVE }, silent = ".".repeat(16);
  const rows = pads.map(({ recipe }) => {
    const name = label(recipe), steps = free[name] ?? silent;
    delete free[name];
    return row(steps);
  });
  return rows.some((steps) => steps.some(Boolean)) ? rows : pads.map((_, i) => row(PLAIN[i] ?? silent));
}

async function fresh() {
  const { pads } = await api.kit(crypto.getRandomValues(new Uint32Array(1))[0], []);
  const made = pads.map((pad) => ({ ...pad, locked: false }));
  return { pads: made, grid: groove(made), tempo: 112, swing: 54 };
}

/** Return the state in the URL, or a new kit. If the URL holds an invalid state, show its error. */
async function beginning(model) {
  const fragment = location.hash.slice(1);
  if (!fragment) return fresh();
  try {
    return await decode(fragment, model);
  } catch (error) {
    notice(error.message);
    return fresh();
  }
}

function notice(text) {
  find("notice").textContent = visible(text);
  find("notice").hidden = !text;
}

function remember(studio) {
  let timer = 0, own = location.hash;
  const write = async () => {
    own = `#${await encode(studio.store.state, studio.model)}`;
    history.replaceState(null, "", own);
    return location.href;
  };
  studio.store.listen(() => { clearTimeout(timer); timer = setTimeout(write, 350); });
  addEventListener("hashchange", () => studio.attempt(async () => {
    if (location.hash === own || location.hash.length < 2) return;
    try {
      studio.store.change(await decode(location.hash.slice(1), studio.model), "kit of a link");
      notice("");
    } catch (error) {
      notice(error.message.replace(/ ?[Hh]ere is a new (one|kit)\./, " The kit stays as it is."));
      await write();
    }
  }));
  find("share").addEventListener("click", () => studio.attempt(async () => {
    const address = await write();
    try {
      await navigator.clipboard.writeText(address);
      studio.say("Link copied: it contains the whole kit and the pattern");
    } catch {
      studio.say("The URL of this page is the link: it contains the whole kit and the pattern");
    }
  }));
  if (location.hash.length < 2 || !find("notice").hidden) write();
}

function save(blob, name) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function downloads(studio) {
  const { model, store } = studio;
  find("format").append(...model.formats.map(({ name, title }) => element("option", { value: name }, title)));
  find("rate").append(...model.rates.map((rate) => element("option", { value: rate }, `${rate / 1000} kHz`)));
  find("pad-save").addEventListener("click", () => studio.attempt(async () => {
    const { recipe } = store.state.pads[studio.chosen];
    const name = `${label(recipe) || "sound"}-${recipe.seed ?? `pad${studio.chosen + 1}`}`.replace(/[^\w-]+/g, "-");
    save(new Blob([await api.render(recipe)], { type: "audio/wav" }), `${name}.wav`);
  }));
  find("save-kit").addEventListener("click", () => studio.attempt(async () => {
    const pads = store.state.pads.map(({ name, note, recipe }) => ({ name, note, recipe }));
    const format = find("format").value;
    studio.say("The kit is being made …");
    const wanted = { pads, format, name: `${model.name} kit`, sample_rate: Number(find("rate").value), bits: Number(find("bits").value) };
    save(await api.kitFile(wanted), `${model.name}-kit-${format}.zip`.replace(/[^\w.-]+/g, "-"));
    studio.say("The kit is downloaded");
  }));
  find("save-loop").addEventListener("click", () => studio.attempt(async () => {
    if (!store.state.grid.some((steps) => steps.some(Boolean))) { studio.say("There is no step in the loop yet", true); return; }
    const { blob, gain } = await studio.loopFile();
    save(blob, `loop-${store.state.tempo}bpm.wav`);
    studio.say(gain < 1 ? `The loop is downloaded, ${(-20 * Math.log10(gain)).toFixed(1)} dB softer, so that it does not clip` : "The loop is downloaded");
  }));
}

function keyboard(studio) {
  let on = true;
  find("keys").addEventListener("click", (event) => {
    on = !on;
    event.currentTarget.setAttribute("aria-pressed", on);
    studio.say(on ? "Keys play the pads" : "Keys are off");
  });
  const travel = (event) => {
    const what = event.shiftKey || event.code === "KeyY" ? studio.store.redo() : studio.store.undo();
    if (what) studio.say(`${event.shiftKey || event.code === "KeyY" ? "Again" : "Undone"}: ${what}`);
    event.preventDefault();
  };
  addEventListener("keydown", (event) => {
    if (find("help-text").open || event.target.matches?.("select, input[type=number]")) return;
    if ((event.ctrlKey || event.metaKey) && !event.altKey && ["KeyZ", "KeyY"].includes(event.code)) { travel(event); return; }
    if (!on || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const pad = CODES.indexOf(event.code);
    if (pad >= 0 && event.shiftKey) studio.lock(pad);
    else if (pad >= 0) { studio.choose(pad); studio.hit(pad, 0.9); }
    else if (event.code === "KeyP" || (event.code === "Space" && document.activeElement === document.body)) studio.attempt(() => studio.toggle());
    else if (event.code === "KeyN") find("new-kit").click();
    else if (event.code === "KeyB") find("vary").click();
    else return;
    event.preventDefault();
  });
}

function buttons(studio) {
  const { store } = studio, click = (id, work) => find(id).addEventListener("click", () => studio.attempt(work));
  click("new-kit", async () => {
    find("new-kit").disabled = true;
    try { await studio.newKit(); } finally { find("new-kit").disabled = false; }
  });
  click("transport", () => studio.toggle());
  click("clear", () => { store.change({ grid: store.state.grid.map(() => row(".".repeat(16))) }, "cleared steps"); studio.say("All steps are off"); });
  click("undo", () => studio.say(`Undone: ${store.undo()}`));
  click("redo", () => studio.say(`Redone: ${store.redo()}`));
  click("theme", () => studio.say(window.switchTheme() === "dark" ? "Dark" : "Light"));
  click("help", () => find("help-text").showModal());
  find("tempo").addEventListener("change", ({ target }) => {
    const tempo = Math.min(240, Math.max(40, Math.round(target.valueAsNumber) || store.state.tempo));
    target.value = tempo;
    store.change({ tempo }, "tempo", "tempo");
  });
  find("swing").addEventListener("input", ({ target }) => store.change({ swing: target.valueAsNumber }, "swing", "swing"));
  for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault()); // A file dropped next to the pads is ignored, because the browser would open it.
  addEventListener("pointerdown", () => studio.context.state === "suspended" && studio.context.resume(), { capture: true });
}

try {
  const model = await api.model();
  find("model").textContent = [model.name, `${model.sample_rate / 1000} kHz`, model.channels > 1 ? "stereo" : "mono"].join(" · ");
  find("model").title = `step ${model.step.toLocaleString()}, weights ${model.fingerprint}${model.labels.length ? `; ${model.labels.map(plain).join(", ")}` : ""}`;
  const studio = new Studio(model, new Store(await beginning(model)));
  remember(studio);
  downloads(studio);
  keyboard(studio);
  buttons(studio);
  document.body.dataset.ready = "";
} catch (error) {
  notice(`${error.message} Reload the page to try again.`);
}
