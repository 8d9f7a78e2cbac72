// Start of the page: loads the model and the kit, and connects keys, downloads and the URL.

import * as api from "./api.js";
import { connectDownloads } from "./downloads.js";
import { connectFind } from "./find.js";
import { keep, kept } from "./history.js";
import { listenToKeys } from "./keys.js";
import { plain, visible } from "./looks.js";
import { connectMap } from "./map.js";
import { listenToMidi } from "./midi-in.js";
import { MIX, grooves } from "./pattern.js";
import { connectRecorder } from "./record.js";
import { connectOpen, openedState } from "./open.js";
import { decode, encode } from "./share.js";
import { shortLink } from "./short.js";
import { Store } from "./store.js";
import { Studio } from "./studio.js";

const find = (id) => document.getElementById(id);

async function fresh() {
  const [from] = crypto.getRandomValues(new Uint32Array(1)), { pads } = await api.kit(from, []);
  const made = pads.map((pad) => ({ ...MIX, ...pad, locked: false, from }));
  return { pads: made, patterns: grooves(made), pattern: 0, tempo: 112, swing: 54 };
}

/** Return the store of this tab after a reload, or of the state in the URL, or of a new kit. If the URL holds an invalid state, show its error. */
async function beginning(model, kit) {
  const fragment = location.hash.slice(1), old = fragment && kept(model, location.hash);
  if (old) return new Store(old.state, old.past, old.future);
  try {
    return new Store(fragment ? await decode(fragment, model) : kit ? openedState(kit, null) : await fresh());
  } catch (error) {
    if (!fragment) throw error;
    notice(error.message);
    return new Store(await fresh());
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
    keep(studio.store, studio.model, own);
    return location.href;
  };
  studio.store.listen(() => { clearTimeout(timer); timer = setTimeout(write, 350); });
  addEventListener("pagehide", () => keep(studio.store, studio.model, location.hash));
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
    await write();
    const { address, approximate } = await shortLink(studio.store.state, studio.model, location.href.split("#")[0]);
    const rough = approximate ? `; ${approximate} changed ${approximate === 1 ? "sound is" : "sounds are"} rounded, a kit file is exact` : "";
    try {
      await navigator.clipboard.writeText(address);
      studio.say(`Link copied: it contains the kit and the patterns${rough}`);
    } catch {
      studio.say("The clipboard cannot be used; the URL of this page is a link too, a longer one");
    }
  }));
  if (location.hash.length < 2 || !find("notice").hidden) write();
}

function buttons(studio) {
  const click = (id, work) => find(id).addEventListener("click", () => studio.attempt(work));
  click("new-kit", async () => {
    find("new-kit").disabled = true;
    try { await studio.newKit(); } finally { find("new-kit").disabled = false; }
  });
  click("transport", () => studio.toggle());
  click("undo", () => studio.travel("undo"));
  click("redo", () => studio.travel("redo"));
  click("theme", () => studio.say(window.switchTheme() === "dark" ? "Dark" : "Light"));
  click("help", () => find("help-text").showModal());
  for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault()); // A file dropped next to the pads is ignored, because the browser would open it.
  addEventListener("pointerdown", () => studio.context.state === "suspended" && studio.context.resume(), { capture: true });
}

try {
  const model = await api.model();
  find("model").textContent = [model.name, `${model.sample_rate / 1000} kHz`, model.channels > 1 ? "stereo" : "mono"].join(" · ");
  find("model").title = `step ${model.step.toLocaleString()}, weights ${model.fingerprint}${model.labels.length ? `; ${model.labels.map(plain).join(", ")}` : ""}`;
  const kit = await api.opened();
  const studio = new Studio(model, await beginning(model, kit));
  remember(studio);
  connectDownloads(studio);
  connectOpen(studio, location.hash.length < 2 ? kit : null);
  listenToKeys(studio);
  listenToMidi(studio);
  buttons(studio);
  connectFind(studio);
  connectMap(studio);
  connectRecorder(studio);
  document.body.dataset.ready = "";
} catch (error) {
  notice(`${error.message} Reload the page to try again.`);
}
