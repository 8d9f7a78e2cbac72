// MIDI input. Notes of the kit play their pads. Other notes from 36 to 51, which pad controllers send, play pads 1 to 16.

const find = (id) => document.getElementById(id);
const FIRST_NOTE = 36;
const NOTE_ON = 0x90;
const STORAGE_KEY = "audiogan-midi"; // Key in localStorage: whether MIDI was on at the last visit.

/** Return the index of the pad that a note plays, or -1. */
export function padOfNote(note, pads) {
  const own = pads.findIndex((pad) => pad.note === note);
  return own >= 0 ? own : note >= FIRST_NOTE && note < FIRST_NOTE + pads.length ? note - FIRST_NOTE : -1;
}

/** Return {note, velocity} of a note-on message, or null for other messages. */
export function noteOn(data) {
  return data?.length >= 3 && (data[0] & 0xf0) === NOTE_ON && data[2] ? { note: data[1], velocity: data[2] } : null;
}

/** Connect the MIDI ports with `studio`: store, choose(i), hit(i, gain), say(text, wrong), attempt(work). */
export function listenToMidi(studio) {
  let access = null, used = [];
  const button = find("midi");
  button.hidden = !navigator.requestMIDIAccess;

  const receive = ({ data }) => {
    const played = noteOn(data), i = played ? padOfNote(played.note, studio.store.state.pads) : -1;
    if (i < 0) return;
    studio.choose(i);
    studio.hit(i, played.velocity / 127);
  };
  const connect = (tell) => {
    const names = access ? [...access.inputs.values()].filter(({ state }) => state !== "disconnected").map(({ name }) => name || "unnamed") : [];
    for (const input of access?.inputs.values() ?? []) input.onmidimessage = receive;
    if (tell || String(names) !== String(used)) studio.say(names.length ? `MIDI: ${names.join(", ")}` : "MIDI is on; connect a keyboard or pad controller");
    used = names;
  };
  const remember = (on) => {
    button.setAttribute("aria-pressed", on);
    try { localStorage.setItem(STORAGE_KEY, on ? "on" : ""); } catch { /* Without storage, MIDI is off at the next visit. */ }
  };
  const start = async (tell) => {
    try {
      access = await navigator.requestMIDIAccess();
    } catch {
      throw new Error("The browser does not allow MIDI on this page; allow it in the settings of the site");
    }
    access.onstatechange = () => connect(false);
    connect(tell);
    remember(true);
  };
  const stop = () => {
    for (const input of access.inputs.values()) input.onmidimessage = null;
    access.onstatechange = null;
    access = null;
    remember(false);
    studio.say("MIDI is off");
  };
  button.addEventListener("click", () => studio.attempt(() => (access ? stop() : start(true))));
  studio.attempt(async () => { // If the permission was given earlier, MIDI starts without a question.
    let chosen = "";
    try { chosen = localStorage.getItem(STORAGE_KEY); } catch { return; }
    if (!chosen || !navigator.requestMIDIAccess) return;
    const permission = await navigator.permissions.query({ name: "midi" }).catch(() => null);
    if (permission?.state === "granted") await start(false);
  });
}
