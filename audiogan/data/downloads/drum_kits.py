"""`DrumKits`: freely licensed drum kits from GitHub. `drums_sources.csv` lists the files with their commits."""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from pooch import file_hash

from audiogan.data.downloads.data_set import DataSet, File, check_written_by_audiogan, read_descriptions
from audiogan.errors import UserError
from audiogan.files import FileName

GITHUB = "https://raw.githubusercontent.com"
REGISTRY = Path(__file__).with_name("drums_sources.csv")
MANIFEST, LICENCES = "manifest.csv", "LICENCES.md"
COLUMNS = ("path", "label", "kit", "licence", "credit", "source")
Choice = Collection[str] | None  # Names to select. None: all.
TITLE = "# Licences and credits of these sounds"
_SHAPES = {
    "repo": r"[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*",
    "commit": r"[0-9a-f]{7,64}",
    # Valid paths are relative and have an extension. They contain no backslash and no empty, `.` or `..` component.
    "path": r"(?!.*(?:^|/)\.{0,2}(?:/|$))[^\x00-\x1f\\:]+\.[A-Za-z0-9]{1,5}",
    "bytes": r"[0-9]{1,12}",
    "sha256": r"[0-9a-f]{64}",
    "label": r"[A-Za-z0-9_][A-Za-z0-9_-]*",
    "licence": r"[^\x00-\x1f]+",
    "kit": r"[^\x00-\x1f/\\]+",
}


@dataclass(frozen=True)
class Source:
    """Sound file to download, a row of the CSV list: repository, commit, path, size, checksum, label, licence and
    kit."""

    repo: str
    commit: str
    path: str
    bytes: int
    sha256: str
    label: str
    licence: str
    kit: str

    @property
    def target(self) -> str:
        """Path of the downloaded file, ``label/kit-name-hash.ext``. It is unique and valid on all systems."""
        path = PurePosixPath(self.path)
        name = re.sub(r"[^A-Za-z0-9._-]+", "_", f"{self.kit}-{path.stem}")[:96].strip("._-")
        return f"{self.label}/{name}-{self.sha256[:6]}{path.suffix.lower()}"


def read_registry(registry: FileName = REGISTRY) -> list[Source]:
    """Return the rows of a CSV list of sources. Raise `UserError` for a malformed or unsafe row."""
    try:
        with Path(registry).open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"cannot read the list of sources {registry}: {error}") from error
    sources = []
    for line, row in enumerate(rows, start=2):
        values = {field.name: row.get(field.name) or "" for field in fields(Source)}
        for key, value in values.items():
            if not re.fullmatch(_SHAPES[key], value):
                raise UserError(f"{registry}, line {line}: {key} '{value}' is missing, malformed or unsafe")
        sources.append(Source(**{**values, "bytes": int(values["bytes"])}))  # type: ignore[arg-type]
    twice = [name for name, n in Counter(source.target.lower() for source in sources).items() if n > 1]
    if twice:
        raise UserError(f"{registry}: several rows have the target {twice[0]}; keep one of them")
    return sources


def list_kits() -> list[tuple[str, int, int, str]]:
    """Return (name, number of files, size in bytes, licences) of each kit, sorted by name."""
    sources = read_registry()
    listed = []
    for kit in sorted({source.kit for source in sources}):
        rows = [source for source in sources if source.kit == kit]
        licences = ", ".join(sorted({row.licence for row in rows}))
        listed.append((kit, len(rows), sum(row.bytes for row in rows), licences))
    return listed


def select_sources(sources: Sequence[Source], kits: Choice, licences: Choice) -> list[Source]:
    """Return the drum sounds of the given kits under the given licences. ``None`` selects all kits or licences.

    Raises:
        UserError: a kit or a licence is unknown, or no drum sound matches.
    """
    for wanted, known, what in (
        (kits, {source.kit for source in sources}, "kit"),
        (licences, {source.licence for source in sources}, "licence"),
    ):
        for name in wanted or ():
            if name not in known:
                raise UserError(f"there is no {what} '{name}'; there are: {', '.join(sorted(known))}")
    chosen = [
        source
        for source in sources
        if (kits is None or source.kit in kits) and (licences is None or source.licence in licences)
    ]
    if not chosen:
        raise UserError("no file has these kits and licences; choose more kits or licences")
    return chosen


class DrumKits(DataSet):
    """Data set of drum sounds in one folder per label, with ``LICENCES.md`` and ``manifest.csv``.

    Args:
        kits: names of the kits, see `list_kits`. Default: all kits.
        licences: accepted licences, such as ``["CC0-1.0"]``. Default: all licences.
        registry: path of the CSV list of sources. Default: the shipped list.

    Raises:
        UserError: a kit or a licence is unknown, or the list contains an unsafe row.
    """

    name, many_files = "drums", True

    def __init__(self, kits: Choice = None, licences: Choice = None, registry: FileName = REGISTRY) -> None:
        self.sources = read_registry(registry)
        self.parts = {}
        for s in select_sources(self.sources, kits, licences):
            address = f"{s.repo}/{s.commit}/{quote(s.path)}"
            self.parts[s.target] = (File(s.target, (f"{GITHUB}/{address}",), s.bytes, s.sha256, address),)

    def check_folder(self, folder: Path) -> None:
        check_written_by_audiogan(folder / MANIFEST, ",".join(COLUMNS))
        check_written_by_audiogan(folder / LICENCES, TITLE)

    def is_complete(self, target: Path, files: tuple[File, ...]) -> bool:
        return _size(target) == files[0].max_bytes and file_hash(target) == files[0].sha256

    def install(self, target: Path, paths: list[Path], progress: bool) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(paths[0], target)

    def text_files(self, folder: Path) -> dict[str, str]:
        have = [source for source in self.sources if _size(folder / source.target) == source.bytes]
        texts = {MANIFEST: manifest_text(have), LICENCES: licence_page(have)}
        return {name: text for name, text in texts.items() if have or (folder / name).exists()}


def _size(path: Path) -> int:
    return os.path.getsize(path) if os.path.isfile(path) else -1


def manifest_text(sources: Iterable[Source]) -> str:
    """Return the manifest as CSV text with the columns path, label, kit, licence, credit and source."""
    credits = read_descriptions()["drums"]["credits"]
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(COLUMNS)
    for s in sorted(sources, key=lambda source: source.target):
        origin = f"https://github.com/{s.repo}/blob/{s.commit}/{quote(s.path)}"
        table.writerow([s.target, s.label, s.kit, s.licence, credits.get(s.kit, ""), origin])
    return stream.getvalue()


def licence_page(sources: Iterable[Source]) -> str:
    """Return Markdown text with the licence, the source and the credit of each kit."""
    facts = read_descriptions()["drums"]
    groups = Counter((s.kit, s.licence, s.repo, s.commit) for s in sources)
    lines = [
        TITLE,
        "",
        "The files are unchanged; `manifest.csv` names the source of each. Kits under a CC-BY licence require the",
        "credit below wherever their sounds are published. CC-BY-SA also requires the same licence.",
    ]
    for (kit, licence, repo, commit), count in sorted(groups.items()):
        page = f" ({facts['licences'][licence]})" if licence in facts["licences"] else ""
        credit = facts["credits"].get(kit, "none required" if licence == "CC0-1.0" else "see the source")
        lines += ["", f"## {kit}", "", f"- Files: {count}", f"- Licence: {licence}{page}", f"- Credit: {credit}"]
        lines += [f"- Source: https://github.com/{repo}/tree/{commit}"]
    return "\n".join(lines) + "\n"
