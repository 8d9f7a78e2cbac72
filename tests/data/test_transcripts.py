"""Tests of the data of recordings with texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audiogan.data import open_transcribed
from audiogan.errors import UserError
from audiogan.inputs import SpokenText
from audiogan.modalities.wav import save_wav


def folder(tmp_path: Path, *lines: str, head: str = "path,text,speaker,language") -> Path:
    wave = np.zeros((1, 16000), np.float32)
    wave[0, 6000:12000] = 0.3 * np.sin(2 * np.pi * 200 / 16000 * np.arange(6000))
    save_wav(tmp_path / "voices" / "a.wav", wave, 16000)
    (tmp_path / "voices" / "manifest.csv").write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return tmp_path


def test_columns(tiny_speech: Path) -> None:
    table = open_transcribed(tiny_speech, progress=False)
    assert len(table) == 48 and table.labels == ["anna", "otto"] and table.shape == (1, 6144)
    assert SpokenText.data_facts(table) == {"languages": ["en", "de"], "size": 64}
    batch = table.batch(np.arange(4))
    assert batch["samples"][:, 0].tolist() == [6000] * 4 and not batch["x"][:, 0, 6000:].any()
    text = SpokenText(languages=["en", "de"])
    assert text.captions(batch["text"]) == ["on", "an on", "an an on", "on"]
    voiced = batch["pitch"][batch["pitch"] > 0]
    assert abs(float(voiced.median()) - 0.08 * 16000 / 2 / np.pi) < 2
    train, held = table.split(0.3, groups="sentence")
    assert not set(train.column("sentence", slice(None)).flatten().tolist()) & set(
        held.column("sentence", slice(None)).flatten().tolist()
    )


def test_paths_may_begin_with_parents_and_silence_is_removed(tmp_path: Path) -> None:
    root = folder(tmp_path, "data/speech/voices/a.wav,Hello.,me,en-GB", "a.wav,Bonjour,elle,fr-FR")
    table = open_transcribed(root, progress=False)
    assert len(table) == 1 and table.labels == ["me"] and abs(int(table.batch([0])["samples"]) - 7920) <= 320


@pytest.mark.parametrize(
    ("lines", "options", "said"),
    [
        (["b.wav,Hello.,me,en"], {}, "line 2: b.wav: no such file"),
        (["../a.wav,Hello.,me,en"], {}, "without .."),
        (["/etc/a.wav,Hello.,me,en"], {}, "must be relative"),
        (["a.wav,😀,me,en"], {}, "line 2: characters that cannot be spoken"),
        (["a.wav,Hello.,me,fr"], {}, "no text in it"),
        (["a.wav,Hello.,me,en"], {"speakers": ["you"]}, "no recordings of 'you'; there are me"),
        (["a.wav,Hello.,me,en"], {"seconds": 0.1}, "none of 1 recordings has at most 0.1 s"),
    ],
)
def test_errors(tmp_path: Path, lines: list[str], options: dict, said: str) -> None:
    root = folder(tmp_path, *lines)
    with pytest.raises(UserError, match=said) as caught:
        open_transcribed(root, progress=False, **options)
    assert "\n" not in str(caught.value)


def test_missing_folder_or_texts(tmp_path: Path) -> None:
    for root, said in ((None, "give a folder"), (tmp_path / "no", "no such folder"), (tmp_path, "no manifest.csv")):
        with pytest.raises(UserError, match=said):
            open_transcribed(root)
