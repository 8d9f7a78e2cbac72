"""Detection of file kinds by name and by content: sounds, images, archives, and hidden or system files."""

from __future__ import annotations

import os
import re
from contextlib import suppress

from audiogan.files import is_regular_file

IMAGE_SIDES = (4, 4096)
"""Minimum and maximum side length of images in pixels."""


def parse_suffixes(extensions: str) -> frozenset[str]:
    """Return the set of extensions in a space-separated string, with a leading dot added to each."""
    return frozenset(f".{word}" for word in extensions.split())


READABLE = parse_suffixes(
    "wav wave bwf w64 rf64 flac ogg oga opus mp3 mp2 aif aiff aifc au snd caf voc paf svx 8svx iff ircam sf nist sph "
    "avr pvf sds xi"
)
"""File extensions of sounds that libsndfile decodes."""

IMAGES = parse_suffixes(
    "png jpg jpeg jpe jfif webp bmp gif tif tiff ppm pgm pbm pnm tga jp2 avif heic heif svg psd ico raw cr2 nef arw dng"
)
ARCHIVES = parse_suffixes(
    "zip zipx rar 7z tar gz tgz bz2 tbz tbz2 xz txz zst tzst lz lz4 lzma z cab arj lha lzh sit sitx dmg iso ace"
)
# Extensions of the volumes of split archives, such as sounds.zip.001.
_VOLUME = re.compile(r"\.(zip|7z|rar|tar|tar\.gz|tgz)\.\d{2,4}$|\.[rz]\d\d$", re.IGNORECASE)

_CONVERT = "libsndfile does not decode {}: convert it to WAV or FLAC"
_VIDEO = "{} is a video: save its sound as WAV or FLAC"
_LOOP = "{} is a loop in slices: open it in a sequencer or sampler and export its sounds as WAV"
_BANK = "{} is a bank of sounds: export its samples as WAV"
_MODULE = "{} is music of a tracker: export its samples as WAV"
_BARE = "{} has no header: convert it to WAV with its sample rate"
FOREIGN: dict[str, str] = {
    suffix: advice.format(suffix)
    for advice, extensions in {
        _CONVERT: "m4a m4b m4r mp4 aac wma ac3 eac3 amr awb ape wv mka webm 3gp 3g2 dsf dff dts tta tak ofr shn mpc ra "
        "ram rm spx aax qcp",
        _VIDEO: "mkv mov avi flv wmv mpg mpeg m4v ogv mts m2ts",
        _LOOP: "rx2 rex rcy",
        _BANK: "sf2 sf3 sfark sfpack dls gig sbk nkx ncw nks rfl akp fsb wem bnk xwb",
        _MODULE: "xm s3m mptm",
        _BARE: "pcm vox",
    }.items()
    for suffix in parse_suffixes(extensions)
}
"""Advice for sound files that libsndfile cannot decode, by extension."""

_QUIET = parse_suffixes(  # Extensions of other formats, whose content is not examined.
    "txt text md rst csv tsv json jsonl xml yaml yml toml ini cfg log nfo pdf rtf doc docx xls xlsx odt ods ppt pptx "
    "html htm url webloc lnk py ipynb js css sh bat exe dll so dylib jar apk epub asd sfl pkf reapeaks peak ovw sfk "
    "mid midi npz npy pkl pt pth ckpt safetensors h5 hdf5 parquet arrow db sqlite part partial crdownload download "
    "tmp temp bak old nki nkm nkc als alc adg adv sfz lab textgrid ttf otf"
)

_SYSTEM_NAMES = """
__macosx|@eadir|@tmp|#recycle|@recycle|@recently-snapshot|#snapshot|~snapshot|$recycle.bin|recycler|recycled|
system volume information|lost+found|lost.dir|network trash folder|temporary items|thevolumesettingsfolder|
thumbs.db|ehthumbs.db|ehthumbs_vista.db|desktop.ini|desktop db|desktop df|files_trashbin|__pycache__
"""
_SYSTEM = frozenset(name.strip() for name in _SYSTEM_NAMES.split("|")) | {"icon\r"}
"""Names of files and folders written by operating systems, file servers and archivers, in lower case."""
_CHECKED_DISK = re.compile(r"found\.\d{3}")


def hidden_reason(name: str) -> str | None:
    """Return the reason why a file or folder counts as hidden, or ``None`` if it does not.

    Hidden names begin with a dot, or are used by operating systems for trash, thumbnails or metadata.
    """
    if name.startswith("._"):
        return f"macOS metadata of {name[2:] or 'a file'}"
    lower = name.lower()
    if lower in _SYSTEM or _CHECKED_DISK.fullmatch(lower):
        return "system file"
    return "begins with a dot" if name.startswith(".") else None


def is_archive(name: str) -> bool:
    """Return ``True`` if the file name has the extension of an archive or of one volume of a split archive."""
    return os.path.splitext(name)[1].lower() in ARCHIVES or _VOLUME.search(name) is not None


def is_image(name: str) -> bool:
    """Return ``True`` if the file name has the extension of an image format."""
    return os.path.splitext(name)[1].lower() in IMAGES


_MAGIC = (
    (rb"(RIFF|RIFX|RF64|BW64)....WAVE", "WAV"),
    (rb"riff\x2e\x91\xcf\x11", "W64"),
    (rb"FORM....AIF[FC]", "AIFF"),
    (rb"FORM....(8SVX|16SV)", "8SVX"),
    (rb"fLaC", "FLAC"),
    (rb"OggS", "OGG"),
    (rb"caff\x00", "CAF"),
    (rb"\.snd\x00", "AU"),
    (rb"Creative Voice File", "VOC"),
    (rb"ID3[\x02-\x04]|\xff[\xf2\xf3\xfa\xfb]", "MP3"),
)
_PACKED = rb"PK\x03\x04|Rar!\x1a\x07|7z\xbc\xaf\x27\x1c|\x1f\x8b\x08|BZh[1-9]|\xfd7zXZ\x00|\x28\xb5\x2f\xfd"


def first_bytes(path: str) -> bytes:
    """Return the first 32 bytes of a file, or ``b""`` if it is not a readable regular file."""
    with suppress(OSError):
        if is_regular_file(path):
            with open(path, "rb") as file:
                return file.read(32)
    return b""


def detect_kind_by_content(path: str) -> tuple[str, str] | None:
    """Return (kind, detail) if a file contains a sound or an archive although its extension differs, else ``None``."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix in _QUIET or suffix in IMAGES:
        return None
    head = first_bytes(path)
    for pattern, name in _MAGIC:
        if re.match(pattern, head, re.DOTALL):
            return "misnamed", f"holds {name}; add .{name.lower().replace('aiff', 'aif')} to its name"
    return ("archive", "") if re.match(_PACKED, head, re.DOTALL) else None
