// The four patterns, each of 8 to 64 steps. A pattern is {steps, grid}, where grid[pad][step] is a MIDI velocity, or 0 for silence.
// Every row of a grid has 64 entries. Entries after the last step are kept but not played.

import { label } from "./looks.js";

export const PADS = 16;
export const LEAST = 8;
export const MOST = 64;
export const PAGE = 16; // Number of steps that are visible at once.
export const LETTERS = "ABCD";
export const ON = 79; // Velocity of a new step.
export const ACCENT = 127;

const GROOVE = { // Initial pattern for the first pad of each class: x is on, X is accented.
  kick: "X.....x.x.X.....", snare: "....X.......X..x", hat_closed: "x.X.x.X.x.X.x.x.", hat_open: "..............x.",
  clap: "............x...", rim: "...x......x.....", perc: ".......x.x......",
};
const PLAIN = ["X.....x.X.......", "....X.......X...", "x.x.x.x.x.x.x.x."]; // Initial pattern for models without these classes.

const silent = () => Array(MOST).fill(0);
const row = (text) => silent().map((_, step) => [0, ON, ACCENT][".xX".indexOf(text[step] ?? ".")]);

export const emptyPattern = (steps = PAGE) => ({ steps, grid: Array.from({ length: PADS }, silent) });
export const isEmpty = ({ steps, grid }) => !grid.some((row) => row.slice(0, steps).some(Boolean));

/** Return the four patterns of a new kit. The first one has a rhythm for the classes of the pads. */
export function grooves(pads) {
  const free = { ...GROOVE };
  let grid = pads.map(({ recipe }) => {
    const name = label(recipe), steps = free[name] ?? "";
    delete free[name];
    return row(steps);
  });
  if (isEmpty({ steps: PAGE, grid })) grid = pads.map((_, i) => row(PLAIN[i] ?? ""));
  return [{ steps: PAGE, grid }, ...[...LETTERS].slice(1).map(() => emptyPattern())];
}

/** Return a pattern with another number of steps. New steps repeat the old ones, unless they already contain notes. */
export function withLength(pattern, steps) {
  const { steps: old, grid } = pattern;
  const free = !grid.some((row) => row.slice(old, steps).some(Boolean));
  if (steps <= old || !free) return { ...pattern, steps };
  return { steps, grid: grid.map((row) => row.map((value, step) => (step >= old && step < steps ? row[step % old] : value))) };
}

export const withStep = ({ steps, grid }, pad, step, value) => ({
  steps, grid: grid.map((row, i) => (i === pad ? row.with(step, value) : row)),
});

/** Return whether each pad sounds in the pattern: pads that are not muted or, if any pad is solo, the solo pads. */
export function audible(pads) {
  const solo = pads.some((pad) => pad.solo);
  return pads.map((pad) => (solo ? pad.solo : !pad.mute));
}

/** Return the velocities of the audible pads of a pattern, as {steps, grid}. */
export function soundingPattern({ pads, patterns }, i) {
  const { steps, grid } = patterns[i], heard = audible(pads);
  return { steps, grid: grid.map((row, pad) => (heard[pad] ? row.slice(0, steps) : Array(steps).fill(0))) };
}

/** Default settings of a pad: level in dB, pan from -1 (left) to 1 (right), transposition in semitones, mute and solo. */
export const MIX = { level: 0, pan: 0, tune: 0, mute: false, solo: false };

// --- links

const hex = (row) => row.map((value) => value.toString(16).padStart(2, "0")).join("");
const velocities = (text) => [...Array(MOST).keys()].map((step) => parseInt(text.slice(2 * step, 2 * step + 2) || "0", 16));

/** Pack the patterns of a state for a link: [index of the chosen one, [steps, {pad: velocities in hexadecimal}] ...]. */
export function packPatterns({ pattern, patterns }) {
  return [pattern, ...patterns.map(({ steps, grid }) => {
    const rows = grid.map((row, pad) => [pad, hex(row).replace(/(00)+$/, "")]);
    return [steps, Object.fromEntries(rows.filter(([, text]) => text))];
  })];
}

/** Return {pattern, patterns} of a link, or null if it is damaged. Older links have one pattern: 256 digits 0, 1 or 2. */
export function unpackPatterns(packed) {
  if (typeof packed === "string" && /^[012]{256}$/.test(packed)) {
    const grid = Array.from({ length: PADS }, (_, pad) => silent().map((_, step) => (step < PAGE ? [0, ON, ACCENT][packed[PAGE * pad + step]] : 0)));
    return { pattern: 0, patterns: [{ steps: PAGE, grid }, ...[...LETTERS].slice(1).map(() => emptyPattern())] };
  }
  if (!Array.isArray(packed)) return null;
  const [pattern, ...stored] = packed;
  const whole = Number.isInteger(pattern) && pattern >= 0 && pattern < LETTERS.length && stored.length === LETTERS.length && stored.every(isPacked);
  if (!whole) return null;
  const patterns = stored.map(([steps, rows]) => ({ steps, grid: Array.from({ length: PADS }, (_, pad) => velocities(rows[pad] ?? "")) }));
  return { pattern, patterns };
}

const isPacked = (one) => Array.isArray(one) && Number.isInteger(one[0]) && one[0] >= LEAST && one[0] <= MOST &&
  one[1] !== null && typeof one[1] === "object" && Object.values(one[1]).every((text) => typeof text === "string" && /^([0-7][0-9a-f]){0,64}$/.test(text));
