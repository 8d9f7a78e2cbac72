// Meaning of knob settings. A setting is the share of training sounds with a smaller value. The scale of a knob lists these
// values at evenly spaced shares from 0 to 1, with their unit.

const DIGITS = 3; // Significant digits.
const rounded = (x) => Number(x.toPrecision(DIGITS)).toLocaleString("en");

/** Return a value as text in Hz, ms or dB, for example “1,230 Hz” for 10.26 in the unit “log2 Hz”. */
export function withUnit(value, unit) {
  if (unit === "log2 Hz") return `${rounded(2 ** value)} Hz`;
  if (unit === "log10 s") return `${rounded(1000 * 10 ** value)} ms`;
  return `${value.toFixed(1)} ${unit}`.trim();
}

/** Return the value of a knob at a share of 0 ... 1, interpolated between the values of its scale. */
export function valueAt(values, share) {
  const at = share * (values.length - 1), low = Math.min(values.length - 2, Math.floor(at));
  return values[low] + (at - low) * (values[low + 1] - values[low]);
}

/** Return the value of a setting, `short`, and a sentence about it, `long`. `scale` is {values, unit, meaning}, if known. */
export function knobMeaning(name, share, scale) {
  const percent = Math.round(100 * share);
  if (!scale) return { short: "", long: `${percent} % of the training sounds have less` };
  const short = withUnit(valueAt(scale.values, share), scale.unit);
  const [low, middle, high] = [0.1, 0.5, 0.9].map((at) => withUnit(valueAt(scale.values, at), scale.unit));
  return {
    short: `about ${short}`,
    long: `${percent}: about ${short}; ${percent} % of the training sounds have less. 10: ${low}, 50: ${middle}, 90: ${high}.` +
      (scale.meaning ? ` ${scale.meaning[0].toUpperCase()}${scale.meaning.slice(1)}.` : ""),
  };
}
