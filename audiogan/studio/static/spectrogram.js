// Spectrograms: power in decibels over time and frequency, drawn on a canvas.

const WINDOW = 0.03; // Approximate length of the STFT window, in seconds. It is rounded to a power of two in samples.
const FRAMES = 4; // Largest number of frames that are averaged in one column.
const RANGE = 80; // Range of the colours, in dB.
const LOWEST = -160; // Level of silence, in dB.
const COLOURS = [[0, 0, 4], [31, 12, 72], [85, 15, 109], [136, 34, 106], [186, 54, 85], [227, 89, 51], [249, 140, 10], [249, 201, 50], [252, 255, 164]]; // From RANGE dB below the peak to the peak.
const STEPS = [100, 200, 500, 1000, 2000, 5000, 10_000, 20_000]; // Distances of frequency labels, in Hz.
const TIMES = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20]; // Distances of time labels, in seconds.

/** Radix-2 fast Fourier transform of a length that is a power of two. */
class Fourier {
  constructor(size) {
    const bits = Math.log2(size), angles = Array.from({ length: size / 2 }, (_, k) => (-2 * Math.PI * k) / size);
    this.size = size;
    this.cos = Float64Array.from(angles, Math.cos);
    this.sin = Float64Array.from(angles, Math.sin);
    this.window = Float64Array.from({ length: size }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / size)); // Hann window
    this.order = Uint32Array.from({ length: size }, (_, i) => { let r = 0; for (let b = 0; b < bits; b++) r |= ((i >> b) & 1) << (bits - 1 - b); return r; });
    this.re = new Float64Array(size);
    this.im = new Float64Array(size);
  }

  /** Add the power of the frame of `samples` that begins at `start` to `power`. Samples outside the sound are 0. */
  add(samples, start, power) {
    const { size, cos, sin, window, order, re, im } = this;
    for (let i = 0; i < size; i++) re[order[i]] = window[i] * (samples[start + i] ?? 0);
    im.fill(0);
    for (let half = 1, step = size / 2; half < size; half *= 2, step /= 2) {
      for (let block = 0; block < size; block += 2 * half) {
        for (let k = 0, t = 0; k < half; k++, t += step) {
          const a = block + k, b = a + half;
          const x = re[b] * cos[t] - im[b] * sin[t], y = re[b] * sin[t] + im[b] * cos[t];
          re[b] = re[a] - x; im[b] = im[a] - y;
          re[a] += x; im[a] += y;
        }
      }
    }
    for (let k = 0; k <= size / 2; k++) power[k] += re[k] * re[k] + im[k] * im[k];
  }
}

/** Return {levels, bins, rate, peak}. levels: mean power of all channels in dB, `bins` values for each of the columns; 0 dB is a full-scale sine. rate: sample rate in Hz. peak: highest level. */
export function spectrogram(buffer, columns) {
  const rate = buffer.sampleRate, size = 2 ** Math.round(Math.log2(rate * WINDOW)), bins = size / 2 + 1, fourier = new Fourier(size);
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, c) => buffer.getChannelData(c));
  const hop = buffer.length / columns, frames = Math.min(FRAMES, Math.max(1, Math.ceil((2 * hop) / size)));
  const levels = new Float32Array(columns * bins), power = new Float64Array(bins), scale = 1 / (frames * channels.length * (size / 4) ** 2);
  let peak = LOWEST;
  for (let i = 0; i < columns; i++) {
    power.fill(0);
    for (const samples of channels) for (let k = 0; k < frames; k++) fourier.add(samples, Math.round((i + (k + 0.5) / frames) * hop - size / 2), power);
    for (let k = 0; k < bins; k++) {
      const level = Math.max(LOWEST, 10 * Math.log10(power[k] * scale));
      levels[i * bins + k] = level;
      if (level > peak) peak = level;
    }
  }
  return { levels, bins, rate, peak };
}

const PALETTE = Uint32Array.from({ length: 256 }, (_, i) => {
  const at = (i / 255) * (COLOURS.length - 1), low = Math.min(COLOURS.length - 2, Math.floor(at)), part = at - low;
  const [r, g, b] = COLOURS[low].map((x, c) => Math.round(x + part * (COLOURS[low + 1][c] - x)));
  return (255 << 24) | (b << 16) | (g << 8) | r;
});

/** Draw the spectrogram of an AudioBuffer from 0 to `top` Hz. Levels of `peak` dB get the brightest colour; by default, this is the peak of the sound. Returns the peak. */
export function drawSpectrogram(canvas, buffer, top, peak) {
  const dense = Math.min(2, devicePixelRatio || 1), width = Math.max(1, Math.round(canvas.clientWidth * dense)), height = Math.max(1, Math.round(canvas.clientHeight * dense));
  Object.assign(canvas, { width, height });
  const { levels, bins, rate, peak: own } = spectrogram(buffer, width), brightest = peak ?? own;
  const context = canvas.getContext("2d"), image = context.createImageData(width, height), pixels = new Uint32Array(image.data.buffer);
  for (let y = 0; y < height; y++) {
    const bin = ((1 - (y + 0.5) / height) * top * 2 * (bins - 1)) / rate, low = Math.floor(bin), part = bin - low;
    for (let x = 0; x < width; x++) {
      const at = x * bins + low, level = low + 1 < bins ? levels[at] + part * (levels[at + 1] - levels[at]) : LOWEST;
      pixels[y * width + x] = PALETTE[Math.max(0, Math.min(255, Math.round((255 * (level - brightest + RANGE)) / RANGE)))];
    }
  }
  context.putImageData(image, 0, 0);
  labels(context, dense, top, buffer.duration);
  return own;
}

/** Draw the labels of frequencies and times at the left and lower edges. */
function labels(context, dense, top, seconds) {
  const { width, height } = context.canvas, step = STEPS.find((one) => top / one <= 5) ?? STEPS.at(-1), time = TIMES.find((one) => seconds / one <= (width / dense) / 70) ?? 60;
  Object.assign(context, { font: `${11 * dense}px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace`, fillStyle: "#fff", strokeStyle: "#000b", lineWidth: 3 * dense, lineJoin: "round" });
  const put = (text, x, y) => { context.strokeText(text, x, y); context.fillText(text, x, y); };
  for (let f = step; f < 0.97 * top; f += step) {
    const y = (1 - f / top) * height;
    context.fillRect(0, y - dense / 2, 5 * dense, dense);
    put(f < 1000 ? `${f} Hz` : `${f / 1000} kHz`, 8 * dense, y + 4 * dense);
  }
  for (let k = 1; k * time < seconds; k++) {
    const x = ((k * time) / seconds) * width;
    if (x > width - 36 * dense) break;
    context.fillRect(x - dense / 2, height - 5 * dense, dense, 5 * dense);
    put(`${Number((k * time).toFixed(2))} s`, x + 4 * dense, height - 5 * dense);
  }
}
