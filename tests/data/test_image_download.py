"""Tests of downloads of data sets like MNIST, from a local server with tiny files of the same format."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from audiogan.data.downloads.archive import ArchiveFiles
from audiogan.data.downloads.data_set import read_descriptions
from audiogan.data.downloads.download import download, get_data_set
from audiogan.data.downloads.idx import PARTS, IdxImages, read_idx
from audiogan.data.images.sources import DOWNLOADED, open_images, open_photos
from audiogan.errors import UserError


def idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return gzip.compress(head + array.astype(np.uint8).tobytes(), mtime=0)


@dataclass
class Site:
    root: Path
    source: IdxImages
    arrays: dict[str, np.ndarray]
    url: str = ""
    requests: list[str] = field(default_factory=list)

    def get(self, out: Path, base_url: str | None = None) -> Path:
        return download(self.source, out, base_url, progress=False)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    rng, root = np.random.default_rng(0), tmp_path / "site"
    root.mkdir()
    arrays: dict[str, np.ndarray] = {}
    digests = {}
    for (images, labels), count in zip(PARTS.values(), (6, 3), strict=True):
        arrays |= {images: rng.integers(0, 256, (count, 5, 4)), labels: rng.integers(0, 2, count)}
    for name, array in arrays.items():
        (root / name).write_bytes(idx(array))
        digests[name] = hashlib.sha256((root / name).read_bytes()).hexdigest()
    facts = {"about": "# Tiny\n\nLicence: none.\n", "names": ["left", "right"], "max_bytes": 1 << 20, "sha256": digests}
    site = Site(root, IdxImages.from_description("tiny", facts | {"mirrors": []}), arrays)

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            site.requests.append(self.path)
            super().do_GET()

        def log_message(self, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(root)))
    threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
    site.url = f"http://127.0.0.1:{http.server_port}/"
    site.source = IdxImages.from_description("tiny", facts | {"mirrors": [site.url + "nowhere/", site.url]})
    yield site
    http.shutdown()
    http.server_close()


def test_files_arrive_as_npz_with_credits_and_can_be_opened(site: Site, tmp_path: Path) -> None:
    out = site.get(tmp_path / "out", base_url=site.url)
    assert sorted(p.name for p in out.iterdir()) == ["README.md", "test.npz", "train.npz"]
    for part, (images, labels) in PARTS.items():
        with np.load(out / part, allow_pickle=False) as held:
            assert held["x"].dtype == np.uint8
            assert (held["x"] == site.arrays[images]).all() and (held["y"] == site.arrays[labels]).all()
    page = (out / "README.md").read_text()
    assert page.startswith("# Tiny") and all(
        str(file.sha256) in page for part in site.source.parts.values() for file in part
    )
    data = open_images(out)
    assert (len(data), data.shape, data.labels) == (6, (1, 5, 4), ["left", "right"])
    assert data.targets.tolist() == site.arrays["train-labels-idx1-ubyte.gz"].tolist()
    assert len(open_images(out / "test.npz")) == 3


def test_the_next_mirror_is_asked(site: Site, tmp_path: Path) -> None:
    site.get(tmp_path / "out")
    assert site.requests[:2] == ["/nowhere/train-images-idx3-ubyte.gz", "/train-images-idx3-ubyte.gz"]
    assert (tmp_path / "out" / "test.npz").is_file()


def test_the_same_call_fetches_only_what_is_missing(site: Site, tmp_path: Path) -> None:
    out = tmp_path / "out"
    away = (site.root / "t10k-labels-idx1-ubyte.gz").read_bytes()
    (site.root / "t10k-labels-idx1-ubyte.gz").write_bytes(away[:-3] + b"bad")
    with pytest.raises(UserError, match=r"t10k-labels.*wrong SHA-256.*repeat the command") as error:
        site.get(out, base_url=site.url)
    assert "\n" not in str(error.value) and not (out / "test.npz").exists() and (out / "train.npz").is_file()
    (site.root / "t10k-labels-idx1-ubyte.gz").write_bytes(away)
    site.requests.clear()
    site.get(out, base_url=site.url)
    assert site.requests == ["/t10k-labels-idx1-ubyte.gz"]
    assert sorted(p.name for p in out.iterdir()) == ["README.md", "test.npz", "train.npz"]
    site.requests.clear()
    site.get(out, base_url=site.url)
    assert site.requests == []
    (out / "train.npz").write_bytes((out / "train.npz").read_bytes()[:-40])  # A truncated file is downloaded again.
    site.get(out, base_url=site.url)
    assert len(site.requests) == 2 and len(open_images(out)) == 6


def test_what_cannot_be_done_is_one_clear_line(site: Site, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match="no data set 'cifar'; there are: drums, sc09, fsdd, flowers, pets, mnist, fashion-mnist"
    ):
        get_data_set("cifar")
    with pytest.raises(UserError, match="nowhere: the server answered 404"):
        site.get(tmp_path / "o", base_url=site.url + "nowhere")
    with pytest.raises(UserError, match="no connection"):
        site.get(tmp_path / "o", base_url="http://127.0.0.1:9")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot write .*file"):
        site.get(tmp_path / "file", base_url=site.url)


def test_files_of_another_format_are_refused(tmp_path: Path) -> None:
    good = gzip.decompress(idx(np.zeros((2, 3, 3))))
    for name, data in {
        "plain": good,
        "magic": gzip.compress(b"\0\0\x0d" + good[3:]),
        "short": gzip.compress(good[:-1]),
        "cut": gzip.compress(good)[:-9],
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UserError, match=str(tmp_path / name)):
            read_idx(tmp_path / name)


def test_the_published_lists() -> None:
    digests = []
    licences = {
        "mnist": "CC BY-SA 3.0",
        "fashion-mnist": "WITHOUT WARRANTY",
        "flowers": "CC BY 2.0",
        "pets": "CC BY-SA 4.0",
    }
    for name in DOWNLOADED:
        source = get_data_set(name)
        assert isinstance(source, IdxImages | ArchiveFiles) and licences[name] in source.about
        for file in (file for part in source.parts.values() for file in part):
            assert file.sha256 is not None and len(file.sha256) == 64 and int(file.sha256, 16)
            assert len(file.urls) >= 2 and all(url.endswith(f"/{file.name}") for url in file.urls)
            digests.append(file.sha256)
    assert len(set(digests)) == 10


def test_photographs_arrive_in_folders_of_classes_and_are_opened_by_name(site: Site, tmp_path: Path) -> None:
    entry = read_descriptions()["flowers"]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for i, label in enumerate(entry["labels"]):
            picture = io.BytesIO()
            Image.new("RGB", (20 + i, 16), (40 * i, 90, 10)).save(picture, "JPEG")
            info = tarfile.TarInfo(f"flower_photos/{label}/{i}_0f.jpg")
            info.size = picture.tell()
            archive.addfile(info, io.BytesIO(picture.getvalue()))
        archive.addfile(tarfile.TarInfo("flower_photos/LICENSE.txt"))
    (site.root / entry["file"]).write_bytes(packed.getvalue())
    entry |= {"sha256": hashlib.sha256(packed.getvalue()).hexdigest()}
    folder = download(ArchiveFiles.from_description("flowers", entry), None, site.url, progress=False)
    assert sorted(p.name for p in folder.iterdir()) == sorted([*entry["labels"], "README.md", "manifest.csv"])
    images = open_images("flowers", size=16, cache=tmp_path)
    assert images.labels == sorted(entry["labels"]) and len(images) == 5 and images.shape == (3, 16, 16)
    assert len(open_photos("flowers", size=8, tiles=4, cache=tmp_path)) >= 5
