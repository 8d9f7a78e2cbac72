"""Tests of `audiogan apply`: signals, names, folders, pipes, interrupts."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_translator import Translator, noise, numbers
from PIL import Image

from audiogan.cli import main
from audiogan.commands.inputs import describe_inputs
from audiogan.commands.values import parse_inputs
from audiogan.errors import UserError
from audiogan.games.generative import Route
from audiogan.inputs import Classes, Latent, Seeded, Signal
from audiogan.modalities import Image as Pictures
from audiogan.modalities.reading.pictures import Picture, read_picture
from audiogan.model.translation.files import apply_files
from audiogan.model.translation.formats import encode_picture
from audiogan.model.translation.signals import Translation, apply_signal
from audiogan.utils.workers import Workers

said: list[str] = []


def silent(line: str) -> None:
    said.append(line)


def picture(path: Path, *size: int, seed: int = 0) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = noise(3, *(size or (20, 30)), seed=seed)
    suffix = {".jpg": "JPEG", ".gif": "GIF"}.get(path.suffix.lower(), "PNG")
    if suffix == "GIF":
        Image.fromarray(pixels.transpose(1, 2, 0)).save(path)
    else:
        path.write_bytes(encode_picture(Picture(pixels), suffix))
    return pixels


class Convolution:
    """Convolution over the source. The sum of all other inputs is added."""

    def __init__(self, channels: int, dimensions: int = 2) -> None:
        self.kernel = numbers(0, channels, channels, *[3] * dimensions) / 9
        self.conv = (torch.nn.functional.conv1d, torch.nn.functional.conv2d)[dimensions - 1]

    def __call__(self, inputs: dict[str, Any]) -> torch.Tensor:
        y = torch.tanh(self.conv(inputs["source"], self.kernel, padding=1))
        return y + sum(0.01 * x.sum() for name, x in inputs.items() if name != "source")


class TestSignals:
    def test_the_trained_size_is_one_sample(self) -> None:
        for field in (1, None):
            generator = Translator((3, 64, 64), field, {"latent": Latent("latent", 5)})
            generator.net.made = Convolution(3)
            x = numbers(1, 3, 64, 64).clamp(-1, 1).numpy()
            latent = generator.inputs["latent"].draw(1, Seeded(9))
            direct = generator.game.generate({"latent": latent, "source": torch.tensor(x)[None]})[0].numpy()
            assert (apply_signal(generator, x, seed=9) == generator.modality.postprocess(direct[None])[0]).all()

    @pytest.mark.parametrize("shape", [(1, 64), (3, 32, 32)])
    def test_tiles_do_not_show(self, shape: tuple[int, ...]) -> None:
        generator = Translator(shape, 1)
        generator.net.made = Convolution(shape[0], len(shape) - 1)
        x = numbers(1, shape[0], *[300] * (len(shape) - 1)).clamp(-1, 1).numpy()
        translation = Translation(generator)
        whole = np.concatenate(list(translation.run(x, tile_size=1000)), axis=1)
        np.testing.assert_allclose(np.concatenate(list(translation.run(x, tile_size=37)), axis=1), whole, atol=1e-6)

    def test_bits_do_not_depend_on_threads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        generator = Translator((3, 32, 32), None)
        generator.net.made = Convolution(3)
        x = numbers(1, 3, 100, 70).clamp(-1, 1).numpy()
        made = []
        for count in (1, 3):
            monkeypatch.setattr("audiogan.model.translation.signals.WORKERS", Workers(count))
            made.append(apply_signal(generator, x))
        assert (made[0] == made[1]).all()

    def test_one_latent_for_all_tiles(self) -> None:
        generator = Translator((1, 16), None, {"latent": Latent("latent", 3)})
        seen = set()

        def made(inputs: dict[str, Any]) -> torch.Tensor:
            seen.add(tuple(inputs["latent"][0].tolist()))
            return inputs["source"]

        generator.net.made = made
        apply_signal(generator, np.zeros((1, 1000), np.float32), seed=4)
        assert len(seen) == 1
        apply_signal(generator, np.zeros((1, 100), np.float32), seed=5)
        assert len(seen) == 2
        apply_signal(generator, np.zeros((1, 100), np.float32), inputs={"latent": "1,2,3"})
        assert (1.0, 2.0, 3.0) in seen

    def test_other_signals_are_cut_as_the_source(self) -> None:
        generator = Translator((3, 16, 16), 1, {"mask": Signal("mask", (1, 16, 16), Pictures())})
        generator.net.made = lambda inputs: inputs["source"] * inputs["mask"]
        x, mask = numbers(1, 3, 50, 70).clamp(-1, 1).numpy(), numbers(2, 1, 50, 70).clamp(-1, 1).numpy()
        assert (apply_signal(generator, x, inputs={"mask": mask}) == x * mask).all()
        with pytest.raises(UserError, match="mask: it has the size"):
            apply_signal(generator, x, inputs={"mask": mask[:, 1:]})
        with pytest.raises(UserError, match="needs the input 'mask'"):
            apply_signal(generator, x)

    def test_progress(self) -> None:
        shares: list[float] = []
        apply_signal(Translator((3, 16, 16), None), np.zeros((3, 200, 20), np.float32), progress=shares.append)
        assert shares == sorted(shares) and shares[-1] == 1 and len(shares) > 5

    def test_faults(self) -> None:
        x = np.zeros((3, 20, 20), np.float32)
        with pytest.raises(UserError, match="1 or 3"):
            apply_signal(Translator(), x[:2])
        with pytest.raises(UserError, match="NaN"):
            apply_signal(Translator(), x * np.nan)
        with pytest.raises(UserError, match="seed=-1"):
            apply_signal(Translator(), x, seed=-1)
        generator = Translator(more={"latent": Latent("latent", 3)})
        with pytest.raises(UserError, match="no input 'latnet'"):
            apply_signal(generator, x, inputs={"latnet": "1,2,3"})
        with pytest.raises(UserError, match="leave it out"):
            apply_signal(generator, x, inputs={"source": x})
        generator.net.made = lambda inputs: inputs["source"] / 0
        with pytest.raises(UserError, match="not finite"):
            apply_signal(generator, x)
        del generator.inputs["source"]
        with pytest.raises(UserError, match="no signal as an input"):
            apply_signal(generator, x)
        points = Translator()
        points.shape = (2,)
        with pytest.raises(UserError, match="only pictures to pictures"):
            apply_signal(points, x)


class TestRoutes:
    def generator(self) -> Translator:
        more = {"classes": Classes(labels=["a", "b"]), "latent": Latent("latent", 3)}
        return Translator(routes={"ab": Route(0, 1), "ba": Route(1, 0)}, labels=("horse", "zebra"), more=more)

    def test_names_and_classes(self) -> None:
        generator = self.generator()
        for route, net in (("ab", "ab"), ("zebra", "ab"), ("horse", "ba")):
            assert Translation(generator, route=route).route == net
        for name in (None, "dog"):
            with pytest.raises(UserError, match=r"ab \(horse -> zebra\), ba \(zebra -> horse\)"):
                Translation(generator, route=name)
        apply_signal(generator, np.zeros((3, 9, 9), np.float32), route="horse")
        assert not generator.game.nets["ab"].shapes and generator.game.nets["ba"].shapes

    def test_inputs_are_listed(self) -> None:
        generator = self.generator()
        text = "\n".join(describe_inputs(generator))
        for part in ("source ", "--class NAME", "--seed N", "horse -> zebra", "--generator ab", "image [3, 64, 64]"):
            assert part in text


class TestFiles:
    def test_a_file(self, tmp_path: Path) -> None:
        pixels = picture(tmp_path / "a.png")
        done = apply_files(Translator(), tmp_path / "a.png", tmp_path / "new" / "b.png", echo=silent)
        assert done.files == [tmp_path / "new" / "b.png"] and not done.failed
        assert (read_picture(tmp_path / "new" / "b.png").pixels == 255 - pixels).all()

    def test_a_file_into_a_folder(self, tmp_path: Path) -> None:
        picture(tmp_path / "a.gif")
        (tmp_path / "out").mkdir()
        assert apply_files(Translator(), tmp_path / "a.gif", tmp_path / "out", echo=silent).files == [
            tmp_path / "out" / "a.png"
        ]

    def test_a_folder(self, tmp_path: Path) -> None:
        source, out = tmp_path / "in", tmp_path / "out"
        for name in ("a.png", "B.PNG", "deep/er/c.jpg", "deep/d.gif", ".hidden.png", ".git/e.png"):
            picture(source / name)
        (source / "bad.png").write_bytes(b"no picture")
        (source / "photo.heic").write_bytes(b"x")
        (source / "readme.txt").write_text("x")
        (source / "link.png").symlink_to(source / "a.png")
        picture(tmp_path / "secret.png")
        (source / "outside.png").symlink_to(tmp_path / "secret.png")
        (source / "gone.png").symlink_to(source / "nothing.png")
        os.mkfifo(source / "pipe.png")
        (source / "loop").symlink_to(source)
        said.clear()
        done = apply_files(Translator(), source, out, echo=silent)
        names = {path.relative_to(out).as_posix() for path in done.files}
        assert names == {"a.png", "B.PNG", "deep/er/c.jpg", "deep/d.png", "link.png"}
        assert names == {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
        assert not (out / "link.png").is_symlink()
        failed = "\n".join(done.failed)
        for part in (
            "bad.png: cannot be read",
            "photo.heic",
            "outside.png: outside link",
            "gone.png: cannot be read (broken link)",
        ):
            assert part in failed
        assert "pipe.png: cannot be read (not a regular file)" in failed and len(done.failed) == 5
        assert any("readme.txt" in line for line in said)

    def test_out_may_lie_in_the_source(self, tmp_path: Path) -> None:
        picture(tmp_path / "a.png")
        for overwrite in (False, True):
            done = apply_files(Translator(), tmp_path, tmp_path / "out", overwrite=overwrite, echo=silent)
            assert done.files == [tmp_path / "out" / "a.png"]

    def test_nothing_of_a_person_is_replaced(self, tmp_path: Path) -> None:
        source, out = tmp_path / "in", tmp_path / "out"
        picture(source / "a.png")
        own = picture(out / "a.png", seed=1)
        with pytest.raises(UserError, match=r"a\.png: exists already.*--overwrite"):
            apply_files(Translator(), source, out, echo=silent)
        assert (read_picture(out / "a.png").pixels == own).all()
        assert apply_files(Translator(), source, out, overwrite=True, echo=silent).files
        assert (read_picture(out / "a.png").pixels != own).any()
        (out / "a.png").unlink()
        os.mkfifo(out / "a.png")
        with pytest.raises(UserError, match="not a regular file"):
            apply_files(Translator(), source, out, overwrite=True, echo=silent)

    def test_collisions(self, tmp_path: Path) -> None:
        source = tmp_path / "in"
        picture(source / "a.png")
        picture(source / "a.gif")
        with pytest.raises(UserError, match="would both be written"):
            apply_files(Translator(), source, tmp_path / "out", echo=silent)
        assert not (tmp_path / "out").exists()

    def test_the_source_is_never_the_target(self, tmp_path: Path) -> None:
        picture(tmp_path / "in" / "a.png")
        (tmp_path / "link.png").symlink_to(tmp_path / "in" / "a.png")
        os.link(tmp_path / "in" / "a.png", tmp_path / "hard.png")
        for target in (tmp_path / "in" / "a.png", tmp_path / "in", tmp_path / "link.png", tmp_path / "hard.png"):
            with pytest.raises(UserError, match="a source or"):
                apply_files(Translator(), tmp_path / "in" / "a.png", target, overwrite=True, echo=silent)
        with pytest.raises(UserError, match="a source or"):
            apply_files(Translator(), tmp_path / "in", tmp_path / "in" / ".." / "in", overwrite=True, echo=silent)
        picture(tmp_path / "x" / "y" / "a.png")
        picture(tmp_path / "x" / "y" / "y" / "a.png")
        with pytest.raises(UserError, match="a source or"):
            apply_files(Translator(), tmp_path / "x" / "y", tmp_path / "x", overwrite=True, echo=silent)

    def test_bad_names(self, tmp_path: Path) -> None:
        picture(tmp_path / "a.png")
        with pytest.raises(UserError, match=r"must end in one of \.png"):
            apply_files(Translator(), tmp_path / "a.png", tmp_path / "b.gif", echo=silent)
        with pytest.raises(UserError, match="no such file"):
            apply_files(Translator(), tmp_path / "none.png", tmp_path / "b.png", echo=silent)
        with pytest.raises(UserError, match="is not a folder"):
            apply_files(Translator(), tmp_path, tmp_path / "a.png", echo=silent)
        (tmp_path / "empty").mkdir()
        with pytest.raises(UserError, match="no images in it"):
            apply_files(Translator(), tmp_path / "empty", tmp_path / "out", echo=silent)
        (tmp_path / "bad.png").write_bytes(b"x")
        with pytest.raises(UserError, match=r"bad\.png: cannot be read"):
            apply_files(Translator(), tmp_path / "bad.png", tmp_path / "new" / "b.png", echo=silent)
        assert not (tmp_path / "new").exists()

    def test_a_full_disk_ends_the_work(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in "abc":
            picture(tmp_path / "in" / f"{name}.png")

        def full(path: Path, content: bytes) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("audiogan.model.translation.formats._put", full)
        with pytest.raises(UserError, match="No space left"):
            apply_files(Translator(), tmp_path / "in", tmp_path / "out", echo=silent)
        assert not (tmp_path / "out").exists()

    def test_interrupts_leave_finished_files(self, tmp_path: Path) -> None:
        for name in "abc":
            picture(tmp_path / "in" / f"{name}.png")
        generator, calls = Translator(), []

        def made(inputs: dict[str, Any]) -> torch.Tensor:
            calls.append(1)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return -inputs["source"]

        generator.net.made = made
        said.clear()
        with pytest.raises(KeyboardInterrupt):
            apply_files(generator, tmp_path / "in", tmp_path / "out", echo=silent)
        assert os.listdir(tmp_path / "out") == ["a.png"]
        assert any("1 of 3" in line for line in said)
        assert read_picture(tmp_path / "out" / "a.png").pixels.shape == (3, 20, 30)


class TestCommand:
    @pytest.fixture(autouse=True)
    def model(self, monkeypatch: pytest.MonkeyPatch) -> Translator:
        generator = Translator(more={"classes": Classes(labels=["day", "night"]), "latent": Latent("latent", 2)})
        monkeypatch.setattr("audiogan.model.loading.load", lambda run, strength=None: generator)
        return generator

    def test_exit_codes(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        picture(tmp_path / "in" / "a.png")
        command = ["apply", str(tmp_path / "in"), str(tmp_path / "out"), "--run", "x"]
        assert main([*command, "--class", "day", "--seed", "3", "--input", "latent=1,2"]) == 0
        (tmp_path / "in" / "bad.png").write_bytes(b"x")
        assert main(command) == 2
        assert "exists already" in capsys.readouterr().err
        command.append("--overwrite")
        assert main(command) == 2
        assert "skipped: " in capsys.readouterr().out
        assert main([*command, "--class", "dusk"]) == 2
        assert main([*command, "--class", "day", "--input", "classes=night"]) == 2
        assert main([*command, "--input", "latent"]) == 2
        assert "NAME=VALUE" in capsys.readouterr().err

    def test_inputs(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["inputs", "x"]) == 0
        assert "class or mixture of classes: day, night (--class NAME)" in capsys.readouterr().out

    def test_values(self) -> None:
        assert parse_inputs(["a=1", "b=x=y", "c="]) == {"a": "1", "b": "x=y", "c": ""}
        for bad in (["a"], ["=1"], ["a=1", "a=2"]):
            with pytest.raises(UserError):
                parse_inputs(bad)


PIPED = """
import sys
sys.path[:0] = [{tests!r}]
from fake_translator import Translator
import audiogan.model.loading
audiogan.model.loading.load = lambda run, strength=None: Translator({shape})
from audiogan.cli import main
sys.exit(main(["apply", "-", "-", "--run", "x"]))
"""


def piped(content: bytes, shape: str = "") -> subprocess.CompletedProcess[bytes]:
    code = PIPED.format(tests=str(Path(__file__).parents[1]), shape=shape)
    return subprocess.run([sys.executable, "-c", code], input=content, capture_output=True, timeout=120)


def test_pipes(tmp_path: Path) -> None:
    pixels = noise(3, 9, 8)
    done = piped(encode_picture(Picture(pixels), "WEBP"))
    assert done.returncode == 0, done.stderr
    made = read_picture(done.stdout)
    assert made.format == "WEBP" and made.pixels.shape == pixels.shape
    bad = piped(b"no picture")
    assert bad.returncode == 2 and b"standard input: cannot be read" in bad.stderr and not bad.stdout
