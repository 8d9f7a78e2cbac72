"""Freely licensed drum kits from the net: checked, resumable, with the credits beside them.

The list of files is `drums_sources.csv` in this folder: repository, commit, path, size, SHA-256, label, licence, kit. A
commit never changes, so neither do the files; whatever arrives is checked against the list before it is kept.
"""

from __future__ import annotations

import csv
import io
import os
import re
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import quote

from audiogan.data.fetch import Unfit, check_own, digest, fetch, reason
from audiogan.errors import UserError
from audiogan.files import replacing

GITHUB = "https://raw.githubusercontent.com"
REGISTRY = Path(__file__).with_name("drums_sources.csv")

# Who wants or deserves to be named, as their licence files say. Nobody else is known by name.
CREDITS = {
    "avl-drumkits-1.1": "Glen MacArthur (AVL Drumkits)",
    "body_percussion": "Karoryfer",
    "muldjordkit": "Drum samples provided by DrumGizmo.org. (Lars Muldjord; stereo version by FreePats)",
    "osdk": "Real Music Media (The Open Source Drumkit)",
    "pearl-master-studio(enoe)": "enoe",
    "tr808-fischer": "Michael Fischer",
}
_LICENCE_PAGES = {
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "CC-BY-3.0": "https://creativecommons.org/licenses/by/3.0/",
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC-BY-SA-3.0": "https://creativecommons.org/licenses/by-sa/3.0/",
}
MANIFEST, LICENCES = "manifest.csv", "LICENCES.md"
COLUMNS = ("path", "label", "kit", "licence", "credit", "source")
TITLE = "# Licences and credits of these sounds"
_PARTIAL = ".partial"
_HOPELESS = 12  # connections lost in a row after which the network is taken for dead


class Kit(NamedTuple):
    name: str
    files: int
    bytes: int
    licence: str


@dataclass(frozen=True)
class Source:
    """One row of the list: where a file comes from and what it must be."""

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
        """`label/kit-name-hash.ext`: legal on every system, unique (kits repeat names), the same in every download."""
        path = PurePosixPath(self.path)
        name = re.sub(r"[^A-Za-z0-9._-]+", "_", f"{self.kit}-{path.stem}")[:96].strip("._-")
        return f"{self.label}/{name}-{self.sha256[:6]}{path.suffix.lower()}"

    def url(self, base_url: str) -> str:
        return f"{base_url.rstrip('/')}/{self.repo}/{self.commit}/{quote(self.path)}"


_SHAPES = {
    "repo": r"[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*",
    "commit": r"[0-9a-f]{7,64}",
    "bytes": r"[0-9]{1,12}",
    "sha256": r"[0-9a-f]{64}",
    "label": r"[A-Za-z0-9_][A-Za-z0-9_-]*",
    "kit": r"[^\x00-\x1f/\\]+",
    "licence": r"[^\x00-\x1f]+",
    # relative, no empty, `.` or `..` parts, no backslash, a plain extension
    "path": r"(?!.*(?:^|/)\.{0,2}(?:/|$))[^\x00-\x1f\\:]+\.[A-Za-z0-9]{1,5}",
}


def read_registry(registry: str | os.PathLike[str] | None = None) -> list[Source]:
    """The rows of a list of sources (default: the package's own). Raises UserError for a row that cannot be trusted."""
    file = Path(registry) if registry is not None else REGISTRY
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"cannot read the list of sources {file}: {error}") from error
    sources = []
    for line, row in enumerate(rows, start=2):
        values = {field.name: row.get(field.name) or "" for field in fields(Source)}
        for key, value in values.items():
            if not re.fullmatch(_SHAPES[key], value):
                raise UserError(f"{file}, line {line}: {key} '{value}' is refused (missing, malformed or unsafe)")
        sources.append(Source(**{**values, "bytes": int(values["bytes"])}))  # type: ignore[arg-type]
    twice = [name for name, n in Counter(source.target.lower() for source in sources).items() if n > 1]
    if twice:
        raise UserError(f"{file}: several rows would be written to {twice[0]}; keep one of them")
    return sources


def list_kits(registry: str | os.PathLike[str] | None = None) -> list[Kit]:
    """The kits of the list with their number of files, size in bytes and licence, by name."""
    kits: dict[str, list[Source]] = defaultdict(list)
    for source in read_registry(registry):
        kits[source.kit].append(source)
    return [
        Kit(name, len(rows), sum(row.bytes for row in rows), ", ".join(sorted({row.licence for row in rows})))
        for name, rows in sorted(kits.items())
    ]


def select(
    sources: Sequence[Source], kits: Sequence[str] | None, licences: Collection[str] | None, limit: int | None
) -> list[Source]:
    """The rows of these kits and licences; with a `limit`, the first of every kit's every class, in turn."""
    for wanted, known, what in (
        (kits, {source.kit for source in sources}, "kit"),
        (licences, {source.licence for source in sources}, "licence"),
    ):
        if isinstance(wanted, str):
            raise ValueError(f"{what}s={wanted!r}: give a list of names")
        for name in wanted or ():
            if name not in known:
                raise UserError(f"there is no {what} '{name}'; there are: {', '.join(sorted(known))}")
    if limit is not None and limit < 1:
        raise UserError(f"limit must be at least 1 file, not {limit}")
    chosen = [
        source
        for source in sources
        if (kits is None or source.kit in kits) and (licences is None or source.licence in licences)
    ]
    if not chosen:
        raise UserError("no file is left by this choice of kits and licences; choose more of either")
    if limit is None:
        return chosen
    seen: Counter[tuple[str, str]] = Counter()
    turn = []
    for source in chosen:
        turn.append(seen[source.kit, source.label])
        seen[source.kit, source.label] += 1
    return [chosen[i] for i in sorted(range(len(chosen)), key=turn.__getitem__)[:limit]]


def get_drums(
    out: str | os.PathLike[str],
    *,
    kits: Sequence[str] | None = None,
    licences: Collection[str] | None = None,
    limit: int | None = None,
    base_url: str = GITHUB,
    registry: str | os.PathLike[str] | None = None,
    threads: int = 4,
    retries: int = 2,
    progress: bool = True,
) -> Path:
    """Download drum kits into `out/<label>/` and write `LICENCES.md` and `manifest.csv` beside them.

    Files that are there already and intact are not fetched again, so the same call resumes. A download ends at the
    size in the list. A file that cannot be had is named on stderr and the others go on; nothing half-written ever
    stands under its final name. Files in ``out`` that audiogan did not write stay as they are.

    Args:
        kits: names as in `list_kits()`, default all. licences: such as `["CC0-1.0"]`, default any.
        limit: at most so many files, spread over kits and classes.
        base_url: where `repository/commit/path` is found. registry: another list of sources.
        threads: downloads at a time. retries: further attempts for each file.

    Raises:
        UserError: unknown kit or licence, an unsafe list, `out` cannot be written, or files that could not be had.
    """
    sources = read_registry(registry)
    chosen = select(sources, kits, licences, limit)
    out = Path(out)
    with _writing(out):
        check_own(out / MANIFEST, ",".join(COLUMNS))
        check_own(out / LICENCES, TITLE)
        new = not out.exists()
        out.mkdir(parents=True, exist_ok=True)
        try:
            failed = _fetch_all(chosen, out, base_url, threads, retries, progress)
        finally:
            _tidy(out / _PARTIAL, sources)
            have = [source for source in sources if _size(out / source.target) == source.bytes]
            for name, text in ((MANIFEST, manifest(have)), (LICENCES, licence_page(have))):
                if have or (out / name).exists():
                    with replacing(out / name) as temporary:
                        temporary.write_bytes(text.encode())
            if new and not have:
                with suppress(OSError):
                    out.rmdir()
    if failed:
        name, why = next(iter(failed.items()))
        raise UserError(
            f"{len(failed)} of {len(chosen)} files could not be downloaded into {out} (first: {name}: {why}); "
            "the same command again fetches what is missing"
        )
    return out


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where, why = error.filename or out, error.strerror or error
        raise UserError(f"cannot write {where}: {why}; make room or choose another folder") from error


class _Hopeless(Exception):
    """The network is taken for dead; what is still waiting is not tried."""


def _tidy(partial: Path, sources: Iterable[Source]) -> None:
    """Remove the parts of downloads, and nothing else, from the folder in which they are kept."""
    folders = {partial / source.label for source in sources}
    parts = [partial / f"{source.target}{end}" for source in sources for end in ("", ".part")]
    for folder in folders:  # earlier versions wrote temporary files of such names
        parts += [path for path in folder.glob("tmp*") if re.fullmatch(r"tmp\w{1,8}", path.name)]
    with suppress(OSError):
        for path in parts:
            path.unlink(missing_ok=True)
    for folder in (*folders, partial):
        with suppress(OSError):  # not there, or it holds files of someone else
            folder.rmdir()


def _fetch_all(
    chosen: Sequence[Source], out: Path, base_url: str, threads: int, retries: int, progress: bool
) -> dict[str, str]:
    """Fetch what is missing. Returns the reason for each file that could not be had."""
    from requests.exceptions import ConnectionError, RequestException, Timeout
    from tqdm import tqdm

    stop, lost = threading.Event(), [0]  # a race on the count of lost connections only delays giving up

    def fetch_one(source: Source) -> None:
        target, arrived = out / source.target, out / _PARTIAL / source.target
        if _size(target) == source.bytes and digest(target) == source.sha256:
            return
        for attempt in range(retries + 1):
            if stop.is_set() or lost[0] >= _HOPELESS:
                raise _Hopeless
            arrived.parent.mkdir(parents=True, exist_ok=True)
            try:
                fetch(source.url(base_url), arrived, most=source.bytes, sha256=source.sha256)
                break
            except (RequestException, Unfit) as error:
                if attempt < retries:
                    stop.wait(min(attempt + 1, 10))
                    continue
                lost[0] += isinstance(error, ConnectionError | Timeout)
                raise
        lost[0] = 0
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(arrived, target)

    failed: dict[str, str] = {}
    total = sum(source.bytes for source in chosen)
    bar = tqdm(total=total, unit="B", unit_scale=True, disable=not progress, desc=f"0/{len(chosen)} files")
    with bar, ThreadPoolExecutor(threads) as pool:
        waiting: dict[Any, Source] = {pool.submit(fetch_one, source): source for source in chosen}
        try:
            for done, future in enumerate(as_completed(waiting), start=1):
                source = waiting[future]
                try:
                    future.result()
                except _Hopeless:
                    failed[source.target] = "not tried, the network seems to be down"
                except (RequestException, Unfit) as error:
                    failed[source.target] = reason(error)
                    tqdm.write(f"{source.target}: {failed[source.target]}", file=sys.stderr)
                bar.update(source.bytes)
                bar.set_description(f"{done}/{len(chosen)} files", refresh=False)
        except BaseException:  # Ctrl-C, a full disk: what is on its way ends, nothing new begins
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return failed


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def manifest(sources: Iterable[Source]) -> str:
    """CSV text: path (below the folder), label, kit, licence, credit, source."""
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(COLUMNS)
    for s in sorted(sources, key=lambda source: source.target):
        origin = f"https://github.com/{s.repo}/blob/{s.commit}/{quote(s.path)}"
        table.writerow([s.target, s.label, s.kit, s.licence, CREDITS.get(s.kit, ""), origin])
    return stream.getvalue()


def licence_page(sources: Iterable[Source]) -> str:
    """Markdown text: for each kit its licence, its source and whom to credit."""
    groups: dict[tuple[str, str, str, str], int] = Counter((s.kit, s.licence, s.repo, s.commit) for s in sources)
    lines = [
        TITLE,
        "",
        "The files are as published by their makers; `manifest.csv` names the source of each. Kits under a CC-BY",
        "licence ask for the credit below wherever their sounds are passed on; CC-BY-SA also asks to keep the licence.",
    ]
    for (kit, licence, repo, commit), count in sorted(groups.items()):
        page = f" ({_LICENCE_PAGES[licence]})" if licence in _LICENCE_PAGES else ""
        credit = CREDITS.get(kit, "none asked for" if licence == "CC0-1.0" else "see the source")
        lines += ["", f"## {kit}", "", f"- Files: {count}", f"- Licence: {licence}{page}", f"- Credit: {credit}"]
        lines += [f"- Source: https://github.com/{repo}/tree/{commit}"]
    return "\n".join(lines) + "\n"
