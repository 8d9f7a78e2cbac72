// Conversion of sound files that the server cannot read, such as M4A and WebM. The browser decodes them.

import { wav24 } from "./audio.js";

const HEADER = 12; // Number of bytes from which a format is recognised.

/** Return whether the first bytes of a file are those of MP4 (M4A), Matroska (WebM) or AAC. */
function isForeign(bytes) {
  const text = String.fromCharCode(...bytes);
  return text.slice(4, 8) === "ftyp" || text.startsWith("\x1aE\xdf\xa3") || (bytes[0] === 0xff && (bytes[1] & 0xf6) === 0xf0);
}

/** Return the file, or a WAV file of its first `seconds` if only the browser can decode it. Throws an Error if the browser cannot decode it either. */
export async function readable(file, seconds = 10) {
  if (!isForeign(new Uint8Array(await file.slice(0, HEADER).arrayBuffer()))) return file;
  let sound;
  try {
    sound = await new OfflineAudioContext(1, 1, 48_000).decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new Error(`${file.name}: neither the studio nor this browser can decode it; convert it to WAV`);
  }
  return new File([wav24(beginning(sound, seconds)).blob], file.name, { type: "audio/wav" });
}

/** Return the first `seconds` of an AudioBuffer. */
function beginning(sound, seconds) {
  const { numberOfChannels, sampleRate } = sound, length = Math.min(sound.length, seconds * sampleRate);
  const part = new AudioBuffer({ length, numberOfChannels, sampleRate });
  for (let c = 0; c < numberOfChannels; c++) part.copyToChannel(sound.getChannelData(c).subarray(0, length), c);
  return part;
}
