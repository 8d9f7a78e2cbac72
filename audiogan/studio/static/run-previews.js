// Previews of a run: samples of the same inputs at every step, to play or view.

import { liveContext, Voices } from "./audio.js";
import { arrow, draw, element, hue, plain, roving } from "./looks.js";

const MAX_PREVIEWS = 6; // Maximum number of decoded previews in memory.
const COLUMNS = 44, LOAD_DELAY = 120; // Columns of a waveform; time in milliseconds after the last slider move before a preview loads.
const sleep = (time) => new Promise((done) => setTimeout(done, time));

/** Return the sample rate of a WAV file from its format chunk. */
function rateOf(bytes) {
  const view = new DataView(bytes);
  for (let at = 12; at + 20 <= bytes.byteLength; ) {
    if (view.getUint32(at) === 0x666d7420) return view.getUint32(at + 12, true); // "fmt "
    const size = view.getUint32(at + 4, true);
    at += 8 + size + (size % 2);
  }
  throw new Error("not a WAV file");
}

/** Decode a sound at its own sample rate, so that its samples are not changed. */
async function decoded(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error("This preview was deleted");
  const bytes = await response.arrayBuffer();
  return new OfflineAudioContext(1, 1, rateOf(bytes)).decodeAudioData(bytes);
}

export class Previews {
  constructor(find, say) {
    Object.assign(this, { find, say, ticket: 0, live: false });
    const on = (id, event, handler) => find(id).addEventListener(event, handler);
    on("step", "input", () => { this.stop(); this.show(Number(find("step").value)); });
    on("newest", "click", () => { this.stop(); this.show(this.all.length - 1); });
    on("play-all", "click", () => (this.playing === "all" ? this.stop() : this.playAll()));
    on("grow", "click", () => (this.playing === "grow" ? this.stop() : this.grow()));
    on("live", "click", () => {
      this.live = !this.live;
      find("live").setAttribute("aria-pressed", this.live);
      if (this.live) this.context(16000).resume(); // Browsers enable audio only after a user gesture. A new preview is no gesture.
      say(this.live ? "New previews are played automatically" : "New previews are not played");
    });
    on("sheet-fold", "toggle", () => this.sheet());
    this.clear();
  }

  clear() {
    this.stop();
    Object.assign(this, { run: "", all: [], layouts: {}, at: -1, chosen: 0, titles: "", cache: new Map(), tiles: [] });
    this.find("listen").hidden = true;
    this.find("sounds").replaceChildren();
    this.find("sheet").hidden = true;
    this.find("sheet").removeAttribute("src");
  }

  update(run, { all, layouts }) {
    const first = !this.all.length, before = this.all[this.at], newest = this.all.at(-1)?.step ?? -1;
    const follows = this.at === this.all.length - 1 && this.playing !== "grow";
    Object.assign(this, { run, all, layouts });
    this.find("listen").hidden = !all.length;
    if (!all.length) { this.clear(); return; }
    this.find("step").max = all.length - 1;
    const same = all.findLastIndex((one) => one.step <= (before?.step ?? Infinity));
    const came = !first && all.at(-1).step > newest;
    this.show(follows ? all.length - 1 : Math.max(0, same), true);
    if (!came) return;
    this.say(`A new preview: step ${all.at(-1).step.toLocaleString("en")}`);
    if (this.live && follows && all.at(-1).wav && !this.playing) this.playAll();
  }

  get sounds() {
    const one = this.all[this.at];
    return this.layouts[one?.layout] ?? { titles: one?.wav ? ["all sounds"] : [], seconds: Infinity, every: 0 };
  }

  address(file) {
    return `/api/runs/${encodeURIComponent(this.run)}/previews/${file}`;
  }

  /** Load the samples of a preview. */
  load(index) {
    const file = this.all[index]?.wav;
    if (!file) return Promise.reject(new Error("This preview has no sound"));
    const known = this.cache.get(file) ?? decoded(this.address(file));
    this.cache.delete(file);
    this.cache.set(file, known);
    known.catch(() => this.cache.delete(file));
    if (this.cache.size > MAX_PREVIEWS) this.cache.delete(this.cache.keys().next().value);
    return known;
  }

  /** Show the preview at an index. */
  async show(index, now = false) {
    const one = this.all[index], slider = this.find("step"), newest = index === this.all.length - 1;
    this.at = index;
    slider.value = index;
    slider.style.setProperty("--at", this.all.length > 1 ? index / (this.all.length - 1) : 1);
    const label = `step ${one.step.toLocaleString("en")}`;
    slider.setAttribute("aria-valuetext", newest ? `${label}, the newest` : label);
    this.find("step-label").textContent = label;
    this.find("newest").disabled = newest;
    const heard = Boolean(one.wav);
    for (const id of ["grow", "play-all", "sounds"]) this.find(id).hidden = !heard;
    this.find("sheet-fold").hidden = !heard || !one.png;
    this.find("listen-hint").textContent = heard ? "The same inputs at every step." : "The same inputs at every step: move the slider.";
    this.build();
    if (!now) await sleep(LOAD_DELAY);
    if (this.all[this.at] !== one) return;
    this.sheet();
    if (heard) await this.load(index).then((audio) => this.all[this.at] === one && this.draw(audio), (error) => this.say(error.message));
  }

  /** Create one tile per sound. Tiles are kept as long as the titles do not change. */
  build() {
    const { titles } = this.sounds;
    if (titles.join("\n") === this.titles) return;
    this.titles = titles.join("\n");
    const words = titles.map((title) => plain(title.replace(/^\d+ (?=\S)/, "")));
    const classes = [...new Set(words)];
    this.tiles = titles.map((title, i) => {
      const wave = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      wave.setAttribute("class", "wave");
      wave.setAttribute("preserveAspectRatio", "none");
      wave.append(document.createElementNS("http://www.w3.org/2000/svg", "path"));
      const button = element("button", { class: "hit", "aria-label": `Play sound ${i + 1}, ${words[i]}` }, wave,
        element("i", { class: "head-line" }), element("span", { class: "name" }, words[i]));
      const box = element("div", { class: "pad hue" }, button);
      box.style.setProperty("--h", hue({ classes: { [words[i]]: 1 } }, classes.length < titles.length ? classes : []));
      button.addEventListener("click", () => { this.choose(i); this.one(i); });
      return { box, button, wave, line: button.querySelector(".head-line") };
    });
    this.find("sounds").replaceChildren(...this.tiles.map((tile) => tile.box));
    const columns = () => getComputedStyle(this.find("sounds")).gridTemplateColumns.split(" ").length;
    roving(this.tiles.map((tile) => tile.button), (key, i) => arrow(key, i, columns(), Math.ceil(titles.length / columns())));
    this.choose(Math.min(this.chosen, titles.length - 1));
  }

  choose(i) {
    this.chosen = i;
    this.tiles.forEach((tile, k) => tile.box.classList.toggle("chosen", k === i));
  }

  draw(audio) {
    this.tiles.forEach((tile, i) => {
      const samples = this.part(audio, i)[0];
      draw(tile.wave, { getChannelData: () => samples }, COLUMNS);
    });
  }

  /** Return the samples of one sound of a preview, one array per channel. */
  part(audio, i) {
    const { seconds, every } = this.sounds, from = Math.round(i * every * audio.sampleRate);
    const to = Math.min(audio.length, from + Math.round(seconds * audio.sampleRate));
    return Array.from({ length: audio.numberOfChannels }, (_, c) => audio.getChannelData(c).subarray(from, to));
  }

  /** Show the picture of a preview. It is always shown for images, and for sounds if the user unfolds it. */
  async sheet() {
    const one = this.all[this.at], picture = this.find("sheet");
    if (!one) return;
    const wanted = one.png && (!one.wav || this.find("sheet-fold").open) ? this.address(one.png) : "";
    if (!wanted) { picture.hidden = true; return; }
    if (picture.getAttribute("src") !== wanted) {
      const ready = Object.assign(new Image(), { src: wanted });
      try { await ready.decode(); } catch { return; } // Another preview was selected in the meantime.
      if (this.all[this.at] !== one) return;
      picture.src = wanted; // The picture was decoded before, so that it does not flicker.
      picture.alt = one.wav ? `Waveform and spectrogram of each sound at step ${one.step}` : `The samples at step ${one.step}`;
    }
    picture.hidden = false;
  }

  context(rate) {
    if (this.voices?.context.sampleRate !== rate) {
      this.voices?.context.close();
      this.voices = new Voices(liveContext(rate));
    }
    return this.voices.context;
  }

  stop() {
    this.ticket += 1;
    this.voices?.silence();
    this.state("");
    this.tiles?.forEach((tile) => tile.line.classList.remove("on"));
  }

  state(playing) {
    this.playing = playing;
    for (const [id, what, name] of [["play-all", "all", "i-play"], ["grow", "grow", "i-grow"]]) {
      const button = this.find(id), on = playing === what;
      button.querySelector("use").setAttribute("href", on ? "#i-stop" : `#${name}`);
      if (id === "grow") button.setAttribute("aria-pressed", on);
      else button.setAttribute("aria-label", on ? "Stop" : "Play all sounds of this preview");
    }
  }

  /** Play one sound of the current preview. Resolves to true if it played to its end. */
  async sound(i, mine) {
    let audio;
    try { audio = await this.load(this.at); } catch (error) { this.say(error.message); return false; }
    const channels = this.part(audio, i), tile = this.tiles[i];
    if (mine !== this.ticket || !channels[0].length) return mine === this.ticket;
    const buffer = new AudioBuffer({ length: channels[0].length, numberOfChannels: channels.length, sampleRate: audio.sampleRate });
    channels.forEach((samples, c) => buffer.copyToChannel(samples, c));
    const context = this.context(audio.sampleRate);
    if (context.state === "suspended") await Promise.race([context.resume(), sleep(500)]);
    if (mine !== this.ticket) return false;
    const start = context.currentTime + 0.01;
    this.voices.play(buffer, start, 1);
    tile.box.animate([{ "--glow": 0.8 }, { "--glow": 0 }], { duration: 450, easing: "ease-out" });
    tile.line.classList.add("on");
    while (mine === this.ticket && context.state !== "suspended" && context.currentTime < start + buffer.duration) {
      tile.line.style.setProperty("--done", Math.max(0, (context.currentTime - start) / buffer.duration));
      await sleep(16);
    }
    tile.line.classList.remove("on");
    return mine === this.ticket && context.state !== "suspended";
  }

  begin(what) {
    this.stop();
    this.state(what);
    return this.ticket;
  }

  end(mine) {
    if (mine === this.ticket) this.state("");
  }

  async one(i) {
    const mine = this.begin("one");
    await this.sound(i, mine);
    this.end(mine);
  }

  async playAll() {
    const mine = this.begin("all");
    for (let i = 0; i < this.tiles.length && (await this.sound(i, mine)); i += 1) await sleep(60);
    this.end(mine);
  }

  /** Play the selected sound of the previews of all steps. */
  async grow() {
    const mine = this.begin("grow");
    for (let index = 0; index < this.all.length && mine === this.ticket; index += 1) {
      if (!this.all[index].wav) continue;
      this.show(index, true);
      if (index + 1 < this.all.length) this.load(index + 1).catch(() => {});
      if (!(await this.sound(Math.min(this.chosen, this.tiles.length - 1), mine))) break;
    }
    this.end(mine);
  }
}
