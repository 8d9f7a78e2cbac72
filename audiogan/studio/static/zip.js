// ZIP archives without compression (PKWARE, APPNOTE.TXT, sections 4.3.7 to 4.3.16).

const TABLE = Uint32Array.from({ length: 256 }, (_, i) => {
  let c = i;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});
const DATE = (2020 - 1980) << 25 | 1 << 21 | 1 << 16; // A constant date, so that the same files give the same archive.
const UTF8 = 1 << 11; // Flag of names in UTF-8.

function checksum(bytes) {
  let c = 0xffffffff;
  for (const byte of bytes) c = TABLE[(c ^ byte) & 0xff] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

/** Return bytes with numbers of 2 and 4 bytes, given as [value, size] in little-endian order. */
function fields(...numbers) {
  const view = new DataView(new ArrayBuffer(numbers.reduce((sum, [, size]) => sum + size, 0)));
  let at = 0;
  for (const [value, size] of numbers) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return view.buffer;
}

/** Return the archive of files {name, blob} as a Blob. */
export async function zip(files) {
  const parts = [], index = [];
  let at = 0, indexSize = 0;
  for (const { name, blob } of files) {
    const bytes = new Uint8Array(await blob.arrayBuffer()), title = new TextEncoder().encode(name);
    const about = [[20, 2], [UTF8, 2], [0, 2], [DATE, 4], [checksum(bytes), 4], [bytes.length, 4], [bytes.length, 4], [title.length, 2], [0, 2]];
    const head = fields([0x04034b50, 4], ...about);
    const entry = fields([0x02014b50, 4], [20, 2], ...about, [0, 2], [0, 2], [0, 2], [0, 4], [at, 4]);
    parts.push(head, title, bytes);
    index.push(entry, title);
    at += head.byteLength + title.length + bytes.length;
    indexSize += entry.byteLength + title.length;
  }
  const end = fields([0x06054b50, 4], [0, 2], [0, 2], [files.length, 2], [files.length, 2], [indexSize, 4], [at, 4], [0, 2]);
  return new Blob([...parts, ...index, end], { type: "application/zip" });
}
