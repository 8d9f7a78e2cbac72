"""Inspection and repair of the headers of sound files.

Headers of interrupted recordings, and of files that a program wrote to a pipe, often state no size or a wrong size.
libsndfile rejects some of these files or finds no samples in them. This module finds the right size and replaces the
wrong bytes while the file is read.
"""

from __future__ import annotations

import io
import os
import re
import struct
from dataclasses import dataclass, field
from typing import Any, BinaryIO

UNKNOWN_64 = (1 << 64) - 1
MAX_CHUNKS, MAX_HEADER_PAGES = 10_000, 16
KNOWN = (b"RIFF", b"RIFX", b"RF64", b"FORM", b"OggS", b"fLaC", b"caff", b".snd", b"dns.", b"riff")
"""First four bytes of common sound formats other than MP3."""
_CONVERT = "holds {}, which libsndfile does not decode: convert it to WAV or FLAC"
_OTHERS = (
    (rb"....ftyp", _CONVERT.format("MP4 (M4A)")),
    (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", _CONVERT.format("WMA")),
    (rb"\x1a\x45\xdf\xa3", _CONVERT.format("WebM or Matroska")),
    (rb"\xff[\xf0\xf1\xf8\xf9]", _CONVERT.format("AAC")),
    (rb"wvpk", _CONVERT.format("WavPack")),
    (rb"MAC ", _CONVERT.format("Monkey's Audio")),
    (rb"MThd", "holds MIDI, which are notes without a sound"),
    (rb"PK\x03\x04|Rar!\x1a\x07|7z\xbc\xaf\x27\x1c|\x1f\x8b\x08", "holds an archive: unpack it"),
    (rb"version https://git-lfs", "a pointer of Git LFS instead of the sound: run git lfs pull"),
    (rb"(\xef\xbb\xbf)?\s*(?i:<!doctype|<html|<\?xml|<head)", "holds a web page: download the sound again"),
    (rb"\0{32}", "begins with zeros instead of a header: probably damaged"),
    (rb"\Z", "an empty file"),
)
"""Pattern of the first bytes of a file that is not a readable sound -> error message."""
_LOG = re.compile(r"^\s*(?:data|SSND|Data Size|riff)\s*:\s*(\d+) \(should be (\d+)\)", re.MULTILINE)
_FRAMES = re.compile(r"Calculated frame count (\d+) does not match value from 'ds64' chunk of (\d+)")


@dataclass
class Header:
    """Result of `inspect_header`: defects in the header of a sound file, and their repair.

    Attributes:
        patches: byte offset -> bytes that replace the bytes of the file from this offset.
        content: replacement for the whole content of the file. None if the content is not replaced.
        cut: whether the file is shorter than its header states.
        unfinished: whether the header states no size.
        problem: error message if libsndfile cannot decode the file; otherwise empty.
        mpeg: whether the file may be an MPEG stream (MP3).
    """

    patches: dict[int, bytes] = field(default_factory=dict)
    content: bytes | None = None
    cut: bool = False
    unfinished: bool = False
    problem: str = ""
    mpeg: bool = False


def inspect_header(file: BinaryIO) -> Header:
    """Inspect the header of an open sound file, and find the bytes to replace so that libsndfile can read it."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    beginning = file.read(64)
    head, kind = beginning[:12], beginning[:4]
    if kind in (b"RIFF", b"RIFX", b"RF64") and head[8:12] == b"WAVE":
        return _wave(file, size, kind)
    if kind == b"caff":
        return _caf(file, size)
    if kind in (b".snd", b"dns.") and len(head) == 12:
        order = ">" if kind == b".snd" else "<"
        start, length = struct.unpack(f"{order}II", head[4:])
        unfinished = length == 0 and size > start
        return Header({8: b"\xff" * 4} if unfinished else {}, unfinished=unfinished)
    if kind == b"OggS":
        return _ogg(file, size)
    if kind == b"fLaC":
        return Header(problem="cut off or damaged before its first block of sound is complete")
    problem = next((words for pattern, words in _OTHERS if re.match(pattern, beginning, re.DOTALL)), "")
    return Header(mpeg=kind not in KNOWN, problem=problem)


def update_header_from_log(header: Header, libsndfile_log: str) -> None:
    """Set `Header.cut` and `Header.unfinished` from the log of libsndfile (``SoundFile.extra_info``)."""
    for declared, actual in _LOG.findall(libsndfile_log):
        if int(declared) == 0:
            header.unfinished = True
        elif int(declared) > int(actual) and not is_placeholder_size(int(declared)):
            header.cut = True
    frames = _FRAMES.search(libsndfile_log)
    if frames and not header.unfinished and int(frames[1]) < int(frames[2]) < UNKNOWN_64 >> 1:
        header.cut = True
    if "Last page lacks an end-of-stream bit" in libsndfile_log:
        header.cut = True


def log_reports_gap(libsndfile_log: str) -> bool:
    """Return whether the log of libsndfile reports missing pages in an Ogg file."""
    return "libogg reports a hole" in libsndfile_log or "bytes looking for the next page" in libsndfile_log


def is_placeholder_size(size: int) -> bool:
    """Return whether a 32-bit size is a placeholder, which programs write to a pipe because the size is not known yet.

    ffmpeg and mpg123 write 0xFFFFFFFF, SoX writes 0x7FFFF000, and arecord writes 0x7FFFFF00 or 0x80000000.
    """
    return 0x7FFF0000 <= size <= 0x80010000 or 0xFFFF0000 <= size <= 0xFFFFFFFF


def _wave(file: BinaryIO, size: int, kind: bytes) -> Header:
    order = ">" if kind == b"RIFX" else "<"
    header, position, wide, found = Header(), 12, 0, set()
    for _ in range(MAX_CHUNKS):
        file.seek(position)
        start = file.read(8)
        if len(start) < 8:
            break
        name, length = start[:4], struct.unpack(f"{order}I", start[4:])[0]
        body = position + 8
        if name == b"ds64":
            wide = body + 8
        elif name == b"fmt ":
            header.problem = header.problem or _format_problem(file.read(16), order)
        elif name == b"data":
            if name in found:
                header.problem = "two data chunks, where a WAV file has one; save it again with an audio editor"
                break
            if b"fmt " not in found:
                header.problem = "no format chunk before the data"
            long = kind == b"RF64" and length == 0xFFFFFFFF and wide
            if long:
                file.seek(wide)
                length = int.from_bytes(file.read(8), "little")
            unknown = length == 0 or (long and length == UNKNOWN_64)
            if unknown and size > body and not _only_chunks(file, body, size, order):
                rest = size - body
                patch = struct.pack("<Q", rest) if long else struct.pack(f"{order}I", min(rest, 0xFFFFFFFE))
                header.patches, header.unfinished = {wide if long else position + 4: patch}, length == 0
            if unknown or length > size - body:
                found.add(name)
                break
        found.add(name)
        position = body + length + length % 2
    if b"data" not in found and not header.problem:
        header.problem = "a header without sound: no data chunk" if b"fmt " in found else "no format chunk"
    return header


def _format_problem(chunk: bytes, order: str) -> str:
    if len(chunk) < 16:
        return "cut off in its header"
    _, channels, rate = struct.unpack(f"{order}HHI", chunk[:8])
    return "0 channels in the header" if not channels else "sample rate of 0 Hz in the header" if not rate else ""


def _only_chunks(file: BinaryIO, position: int, size: int, order: str) -> bool:
    """Return whether the rest of a WAV file consists of valid chunks. If so, a data chunk before it is really empty."""
    for _ in range(MAX_CHUNKS):
        file.seek(position)
        start = file.read(8)
        if len(start) < 8 or not all(32 <= c < 127 for c in start[:4]):
            return False
        length = struct.unpack(f"{order}I", start[4:])[0]
        position += 8 + length + length % 2
        if size - position in (0, -1):
            return True
    return False


def _caf(file: BinaryIO, size: int) -> Header:
    position = 8
    for _ in range(MAX_CHUNKS):
        file.seek(position)
        start = file.read(12)
        if len(start) < 12:
            break
        length = struct.unpack(">q", start[4:])[0]
        rest = size - position - 12
        if start[:4] == b"data":
            if 0 < length <= rest or rest <= 4:
                return Header()
            patch = {position + 4: struct.pack(">q", rest)}
            # A size of -1 is valid. It means that the data chunk ends at the end of the file.
            return Header(patch, cut=length > rest, unfinished=length == 0)
        if length < 0:
            break
        position += 12 + length
    return Header(problem="cut off or damaged in its header: no data chunk")


def _ogg(file: BinaryIO, size: int) -> Header:
    """Inspect an Ogg file, and shorten its first page of sound if the file ends inside this page.

    libsndfile drops an incomplete page. A short sound has only one page and would be lost.
    """
    position, before = 0, 0
    for page in range(MAX_HEADER_PAGES):
        file.seek(position)
        start = file.read(27)
        if len(start) < 27 or start[:4] != b"OggS":
            return Header(problem="" if not start and page > 1 else "cut off or damaged in its header")
        lacing, end = file.read(start[26]), int.from_bytes(start[6:14], "little")
        body = position + 27 + start[26]
        if body + sum(lacing) > size:
            sound = page > 1 and 0 < end < UNKNOWN_64
            last = _shorter_page(start, lacing, file.read(max(0, size - body)), before) if sound else b""
            file.seek(0)
            content = file.read(position) + last if last else None
            problem = "cut off before its first packet of sound is complete" if sound else "cut off in its header"
            return Header(content=content, cut=bool(last), problem=problem)
        position, before = body + sum(lacing), end
    return Header()


def _shorter_page(start: bytes, lacing: bytes, body: bytes, before: int) -> bytes:
    """Return a last Ogg page with the complete packets of a truncated page; empty if no packet is complete.

    The end position of the page, in samples, is estimated from the number of packets, because Opus decoders reject a
    position that is too large.
    """
    length = size = kept = 0
    for i, value in enumerate(lacing):
        length += value
        if length > len(body):
            break
        if value < 255:  # In Ogg, a segment length below 255 ends a packet.
            kept, size = i + 1, length
    if not kept:
        return b""
    packets, of = (sum(value < 255 for value in part) for part in (lacing[:kept], lacing))
    end = before + (int.from_bytes(start[6:14], "little") - before) * packets // of
    page = bytearray(start[:6] + end.to_bytes(8, "little") + start[14:26] + bytes([kept]) + lacing[:kept] + body[:size])
    page[5] |= 4  # This flag marks the last page of the stream.
    page[22:26] = bytes(4)
    page[22:26] = _checksum(page).to_bytes(4, "little")
    return bytes(page)


def _checksum(page: bytearray) -> int:
    """Return the CRC checksum of an Ogg page.

    Source: RFC 3533, section 6.
    """
    crc = 0
    for value in page:
        crc ^= value << 24
        for _ in range(8):
            crc = (crc << 1) ^ (0x104C11DB7 if crc & 0x80000000 else 0)
    return crc


class PatchedFile(io.RawIOBase):
    """Read-only view of an open file in which some bytes are replaced.

    Args:
        file: the open file.
        patches: byte offset -> bytes that replace the bytes of the file from this offset.
    """

    def __init__(self, file: BinaryIO, patches: dict[int, bytes]) -> None:
        self.file, self.patches = file, patches
        file.seek(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()

    def readinto(self, buffer: Any) -> int:
        start = self.file.tell()
        content = bytearray(self.file.read(len(buffer)))
        for place, patch in self.patches.items():
            for i, value in enumerate(patch, place - start):
                if 0 <= i < len(content):
                    content[i] = value
        buffer[: len(content)] = bytes(content)
        return len(content)
