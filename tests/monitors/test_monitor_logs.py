"""Tests of logs of other programs: every format gives the same finding, an overpowering critic."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiogan.errors import UserError
from audiogan.monitors import Diagnosis, diagnose
from audiogan.monitors.history import parse_partial_critic_loss
from audiogan.monitors.logs.numbers import detect_decimal_mark, parse_number

N = 60
STEPS = [50 * i for i in range(N)]
D = [round(1.3 * math.exp(-i / 8), 4) + 0.0001 for i in range(N)]
G = [round(1.1 + i / 20, 4) for i in range(N)]
ROWS = list(zip(STEPS, D, G, strict=True))


def table(delimiter: str, *, head: str = "step,d_loss,g_loss", show: Callable[[float], str] = str) -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    writer.writerow(head.split(","))
    writer.writerows([show(value) for value in row] for row in ROWS)
    return out.getvalue()


def german(value: float) -> str:
    return f"{value:,}".replace(",", "x").replace(".", ",").replace("x", ".")


def lines(form: str) -> str:
    return "".join(
        form.format(s=s, d=d, g=g, i=i, epoch=i // 10 + 1, batch=i % 10, half=d / 2) + "\n"
        for i, (s, d, g) in enumerate(ROWS)
    )


TABLES = {
    "semicolons": table(";", show=german),
    "semicolons, dots": table(";"),
    "tabs": table("\t"),
    "tabs, commas": table("\t", show=lambda value: str(value).replace(".", ",")),
    "pipes": "| step | d_loss | g_loss |\n|---|---|---|\n" + lines("| {s} | {d} | {g} |"),
    "spaces": "step d_loss g_loss\n" + lines("{s} {d} {g}"),
    "columns": "Step     D loss    G loss\n" + lines("{s:<8} {d:<8}  {g}"),
    "thousands": table(",", show=lambda value: f"{value:,}"),
    "commas, quoted": table(",", show=german),
    "comments": "# a run\n\n" + table(",").replace("\n0,", "\n# begin\n0,"),
    "numpy": "# step d_loss g_loss\n" + lines("{s} {d} {g}"),
    "excel": "sep=;\n" + table(";"),
    "padded": table(",").replace(",", " , "),
    "percent": "step,d_loss,g_loss,d_accuracy\n" + lines("{s},{d},{g},99%"),
    "pandas": ",step,d_loss,g_loss\n" + lines("{i},{s},{d},{g}"),
    "trailing": table(",").replace("\n", ",\n"),
    "two heads": table(",") + "step,d_loss,g_loss\n",
    "windows": table(",").replace("\n", "\r\n"),
    "halves": "step,d_real_loss,d_fake_loss,g_loss\n" + lines("{s},{half},{half},{g}"),
    "torch": "step,loss_D_real,loss_D_fake,loss_G\n" + lines("{s},{half},{half},{g}"),
    "plain halves": "step,real_loss,fake_loss,gen_loss\n" + lines("{s},{half},{half},{g}"),
    "bare": "step,D,G\n" + lines("{s},{d},{g}"),
    "lightning": "epoch,step,d_loss,g_loss\n" + lines("{epoch},{s},{d},\n{epoch},{s},,{g}"),
    "wandb": '"Step","a run - d_loss","a run - d_loss__MIN","a run - g_loss"\n' + lines('"{s}","{d}","{d}","{g}"'),
    "batches": "epoch,batch,d_loss,g_loss\n" + lines("{epoch},{batch},{d},{g}"),
    "tensors": 'step,d_loss,g_loss\n' + lines("{s},\"tensor({d}, device='cuda:0')\",\"tensor({g}, device='cuda:0')\""),
}  # fmt: skip
LINES = {
    "cyclegan": "== Loss (Mon) ==\n" + lines("(epoch: 1, iters: {s}, time: 0.1, data: 0.01) D_A: {d} G_A: {g} "),
    "pix2pix": lines("(epoch: 1, iters: {s}, time: 0.1, data: 0.01) G_GAN: {g} D_real: {half} D_fake: {half} "),
    "epochs": lines("(epoch: {epoch}, iters: {batch}, time: 0.1, data: 0.01) D_A: {d} G_A: {g} "),
    "pytorch-gan": lines("[Epoch {epoch}/5] [Batch {batch}/10] [D loss: {d}] [G loss: {g}]"),
    "keras-gan": lines("{s} [D loss: {d}, acc.: 50.00%] [G loss: {g}]"),
    "dcgan": lines("[{epoch}/25][{batch}/10]\tLoss_D: {d}\tLoss_G: {g}\tD(x): 0.5\tD(G(z)): 0.5 / 0.4"),
    "tutorial": lines("Epoch [{epoch}/200], Step [{batch}/10], d_loss: {d}, g_loss: {g}"),
    "tqdm": lines("Epoch {epoch}:  20%|##  | {batch}/10 [00:10<00:40, d_loss={d}, g_loss={g}]").replace("\n", "\r"),
    "logging": lines("2024-01-01 12:00:00,123 INFO root: step={s} d_loss={d} g_loss={g}"),
    "dictionaries": lines("{{'step': {s}, 'd_loss': {d}, 'g_loss': nan if 0 else {g}}}").replace("nan if 0 else ", ""),
    "tensors": lines("{{'step': {s}, 'd_loss': tensor({d}, device='cuda:0'), 'g_loss': np.float32({g})}}"),
    "spaces": lines("epoch {epoch} step {s} d_loss {d} g_loss {g}"),
    "bare": lines("step {s} D: {d} G: {g}"),
    "preamble": "".join(f"option {i}\n" for i in range(100)) + lines("step: {s}, d_loss: {d}, g_loss: {g}"),
}  # fmt: skip
JSON: dict[str, Any] = {
    "keras": {"d_loss": D, "g_loss": G},
    "keras, saved whole": {"epoch": STEPS, "params": {"epochs": 60}, "history": {"d_loss": D, "g_loss": G}},
    "rows": [{"step": s, "d_loss": d, "g_loss": g} for s, d, g in ROWS],
    "transformers": {"best": None, "log_history": [{"step": s, "d_loss": d, "g_loss": g} for s, d, g in ROWS]},
    "by epoch": {str(i): {"d_loss": d, "g_loss": g} for i, (_, d, g) in enumerate(ROWS)},
    "pandas": {"d_loss": {str(i): d for i, d in enumerate(D)}, "g_loss": {str(i): g for i, g in enumerate(G)}},
}
JSONL: dict[str, list[Any]] = {
    "stylegan": [{"Loss/G/loss": {"num": 4, "mean": g}, "Loss/D/loss": {"num": 4, "mean": d}} for _, d, g in ROWS],
    "nested": [{"step": s, "losses": {"d": d, "g": g}} for s, d, g in ROWS],
    "text": [{"step": f"{s:,}", "d_loss": str(d), "g_loss": str(g)} for s, d, g in ROWS],
    "wandb": [{"_step": s, "_runtime": 1.0, "d_loss": d, "g_loss": g} for s, d, g in ROWS],
    "halves": [{"step": s, "errD_real": d / 2, "errD_fake": d / 2, "errG": g} for s, d, g in ROWS],
}


def check(diagnosis: Diagnosis) -> Diagnosis:
    assert any(finding.kind == "overpowering critic" for finding in diagnosis.findings)
    assert diagnosis.rows >= N
    return diagnosis


@pytest.mark.parametrize("name", TABLES)
def test_tables(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.csv").write_text(TABLES[name])
    assert not check(diagnose(tmp_path / "a.csv")).remarks


@pytest.mark.parametrize("name", LINES)
def test_lines(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.log").write_text(LINES[name])
    remarks = check(diagnose(tmp_path / "a.log")).remarks
    assert bool(remarks) == (name in ("cyclegan", "preamble")) and all("contain no metrics" in line for line in remarks)


@pytest.mark.parametrize("name", [*JSON, *JSONL])
def test_json(tmp_path: Path, name: str) -> None:
    text = json.dumps(JSON[name]) if name in JSON else "".join(json.dumps(row) + "\n" for row in JSONL[name])
    (tmp_path / "a.json").write_text(text)
    assert not check(diagnose(tmp_path / "a.json")).remarks


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    text = table(",", head="step,d_loss,g_loss") + "# Größe\n"
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    assert not check(diagnose(tmp_path / "a.csv")).remarks


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("9000,1,2,3\n", "1 line could not be read: they have more cells"),
        ("1,000,1.5,2\n1,050,1.5,2\n", "2 lines could not be read: they have more cells"),
        ("9000,0.1\n", "1 line has fewer cells"),
        ("9000,x,0.1\n", "1 cell of d_loss could not be read as numbers, for example 'x'"),
        ("Traceback (most recent call last):\n", "they contain no numbers; the first is 'Traceback"),
        ("\x1b[2J\n", r"the first is '\\\\x1b"),
        ('"9000,1,2\n', "more cells|contain no numbers|fewer cells"),
        (",1.0,2.0\n", "they state no step"),
        ("abc,1.0,2.0\n", "they state no step"),
        ("9000,0.", "cut off"),
    ],
)
def test_what_cannot_be_read_is_counted_and_said(tmp_path: Path, more: str, says: str) -> None:
    (tmp_path / "a.csv").write_text(table(",") + more)
    diagnosis = check(diagnose(tmp_path / "a.csv"))
    assert any(re.search(says, line) for line in diagnosis.remarks), diagnosis.remarks
    assert diagnosis.lines[1 : 1 + len(diagnosis.remarks)] == diagnosis.remarks
    assert all("\x1b" not in line and "\n" not in line for line in diagnosis.remarks)


def test_broken_lines_of_json_are_counted(tmp_path: Path) -> None:
    text = "".join(json.dumps(row) + "\n" for row in JSON["rows"])
    (tmp_path / "a.jsonl").write_text(text[: len(text) // 2] + "\n" + text[: len(text) // 2])
    diagnosis = diagnose(tmp_path / "a.jsonl")
    assert len(diagnosis.remarks) == 1 and "they are not JSON" in diagnosis.remarks[0]
    (tmp_path / "list.json").write_text("[" + ",\n".join(json.dumps(row) for row in JSON["rows"]))
    assert not check(diagnose(tmp_path / "list.json")).remarks


def test_cells_that_are_no_finite_numbers(tmp_path: Path) -> None:
    text = table(",") + "".join(
        f"{9000 + i},{value},1\n" for i, value in enumerate(["nan", "NaN", "-nan(ind)", "", "NA"])
    )
    (tmp_path / "a.csv").write_text(text + "9010,inf,-inf\n9011,1.#INF,1\n")
    diagnosis = diagnose(tmp_path / "a.csv")
    explosion = next(finding for finding in diagnosis.findings if finding.kind == "explosion")
    assert explosion.step >= 9000 and not diagnosis.remarks


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "an empty file"),
        (b"1,2,3\n4,5,6\n", "contains no metrics"),
        (b"Dear diary, today I trained a GAN.\nIt went well.\n", "they contain no numbers"),
        (b"step,val_loss\n1,2\n", "contains only step, val_loss; doctor needs"),
        (b"PK\3\4 a workbook", "save it as CSV"),
        (b"\x80\4\x95 a pickle", "not opened"),
        (b"\x1f\x8b\x08", "unpack it first"),
        (b"\x93NUMPY", "save it as CSV"),
        (bytes(range(256)) * 10, "not text"),
        (b"[1, 2", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"{" * 100_000, "no metrics|no numbers"),
        (b"[[1, 2], [3, 4]]", "contains no metrics|no numbers"),
        (b'"' * 500_000 + b"\n1,2\n", "contains only"),
    ],
)
def test_other_kinds_are_named_in_a_line(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(UserError, match=says) as error:
        diagnose(tmp_path / "a.txt")
    assert "\n" not in str(error.value) and len(str(error.value)) < 500


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("d_real_loss", ("critic/loss", "real")),
        ("loss_D_A_fake", ("critic a/loss", "fake")),
        ("errD_real", ("critic/loss", "real")),
        ("real_loss", ("critic/loss", "real")),
        ("loss_disc_generated", ("critic/loss", "fake")),
        ("g_fake_loss", None),
        ("val_d_real_loss", None),
        ("aux_fake_loss", None),
        ("critic/real_logits", None),
        ("d_loss", None),
    ],
)
def test_names_of_halves(name: str, ours: tuple[str, str] | None) -> None:
    assert parse_partial_critic_loss(name) == ours


@pytest.mark.parametrize(
    ("cells", "delimiter", "mark"),
    [
        (["0,5"], ";", ","), (["1,25"], ",", ","), (["1.234,5"], ",", ","), (["1,234.5"], ";", "."),
        (["1,234", "0.5"], ";", "."), (["1,234"], ",", "."), (["1,234"], ";", ","), (["1.234"], ";", "."),
        (["1.234.567"], ";", ","), (["10", "x,y"], ";", "."),
    ],
)  # fmt: skip
def test_decimal_marks(cells: list[str], delimiter: str, mark: str) -> None:
    assert detect_decimal_mark(cells, delimiter) == mark


def test_numbers() -> None:
    plain = {
        "1,234.5": 1234.5,
        "1'000": 1000,
        "1 000": 1000,
        "1\u202f000": 1000,
        "50 %": 0.5,
        "1e-3": 0.001,
        "-.5": -0.5,
    }
    assert {text: parse_number(text) for text in plain} == plain
    assert (
        parse_number("1.234,5", ",") == 1234.5
        and parse_number("1,5E-03", ",") == 0.0015
        and parse_number("np.float64(2.5)") == 2.5
    )
    assert [parse_number(text) for text in ("", "n/a", "abc", "1.2.3", "0x10", "1,2,3", "--", "1/5")] == [None] * 8
    assert (
        parse_number("-inf") == -math.inf
        and math.isnan(parse_number("-nan") or 0)
        and parse_number("1.#INF") == math.inf
    )


def _board(folder: Path, rows: list[tuple[int, float, float]], purge: int | None = None) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder), purge_step=purge) as writer:
        for step, d, g in rows:
            writer.add_scalar("critic/loss", d, step)
            writer.add_scalar("generator/loss", g, step)
        writer.add_image("x", np.zeros((3, 8, 8), np.float32), 10**6)
        writer.add_text("findings/x", "text", 10**6)


def test_event_files_of_tensorboard(tmp_path: Path) -> None:
    _board(tmp_path / "run" / "tensorboard", ROWS)
    [file] = (tmp_path / "run" / "tensorboard").iterdir()
    for path in (tmp_path, tmp_path / "run", tmp_path / "run" / "tensorboard", file):
        diagnosis = check(diagnose(path))
        assert not diagnosis.remarks and diagnosis.rows == N and diagnosis.figures == ["critic/loss", "generator/loss"]
    file.write_bytes(file.read_bytes()[:-400])
    assert "in the middle of an event" in diagnose(file).remarks[0]
    data = bytearray(file.read_bytes())
    first = 16 + struct.unpack("<Q", data[:8])[0]  # End of the record with the version of the file.
    size = struct.unpack("<Q", data[first : first + 8])[0]
    data[first + 12 : first + 12 + size] = b"\xff" * size
    file.write_bytes(data)
    assert "1 event could not be read" in diagnose(file).remarks[-1]
    _board(tmp_path / "other", ROWS)
    with pytest.raises(UserError, match="of 2 runs"):
        diagnose(tmp_path)


def test_steps_that_a_resumed_run_took_again_count_once(tmp_path: Path) -> None:
    _board(tmp_path, [(step, 9.0, 9.0) for step in STEPS])
    [first] = tmp_path.iterdir()
    first.rename(tmp_path / "events.out.tfevents.1.a")
    _board(tmp_path, ROWS[1:], purge=1)
    assert check(diagnose(tmp_path)).rows == N


def test_scalars_of_tensorflow_are_tensors(tmp_path: Path) -> None:
    from tensorboard.compat.proto import event_pb2
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.types_pb2 import DT_FLOAT

    content = b""
    for i, (step, d, g) in enumerate(ROWS):
        event = event_pb2.Event(step=step, file_version="brain.Event:2" if i < 0 else "")
        for tag, value in (("d_loss", d), ("g_loss", g)):
            one = event.summary.value.add(tag=tag, tensor=TensorProto(dtype=DT_FLOAT, float_val=[value]))
            if not i:
                one.metadata.plugin_data.plugin_name = "scalars"
        raw = event.SerializeToString()
        content += struct.pack("<Q", len(raw)) + b"\0" * 4 + raw + b"\0" * 4
    (tmp_path / "train").mkdir()
    (tmp_path / "validation").mkdir()
    (tmp_path / "train" / "events.out.tfevents.1.v2").write_bytes(content)
    (tmp_path / "validation" / "events.out.tfevents.1.v2").write_bytes(content)
    assert check(diagnose(tmp_path)).rows == N


def test_spoilt_logs_never_do_worse_than_a_message(tmp_path: Path) -> None:
    good = [text.encode() for text in (*TABLES.values(), *LINES.values())]
    good += [json.dumps(JSON[name]).encode() for name in JSON] + [TABLES["tabs"].encode("utf-16")]
    rng = np.random.default_rng(0)
    for i in range(120):
        spoilt = bytearray(good[i % len(good)][:800])
        for at in rng.integers(0, len(spoilt), rng.integers(1, 30)):
            spoilt[at] = rng.integers(256)
        cut = rng.integers(len(spoilt))
        (tmp_path / "a.csv").write_bytes(spoilt[:cut] if rng.random() < 0.3 else spoilt)
        try:
            said = diagnose(tmp_path / "a.csv").lines
        except UserError as error:
            said = [str(error)]
        assert all("\n" not in line for line in said)
