"""Reader of printed log lines that contain names and values.

Supported formats include

- pytorch-CycleGAN-and-pix2pix: ``(epoch: 1, iters: 100, time: 0.1) D_A: 0.3 G_A: 1.2``
- PyTorch-GAN: ``[Epoch 1/5] [Batch 3/9] [D loss: 0.6] [G loss: 1.2]``
- Keras-GAN: ``100 [D loss: 0.6, acc.: 50.00%] [G loss: 1.2]``
- PyTorch's DCGAN example: ``[0/25][50/1583] Loss_D: 0.5 Loss_G: 3.1 D(x): 0.9 D(G(z)): 0.2 / 0.04``
- progress bars of tqdm and Keras, and printed dictionaries: ``{'step': 10, 'd_loss': tensor(0.6)}``
"""

from __future__ import annotations

import re
from collections.abc import Callable

from audiogan.monitors.logs.numbers import detect_decimal_mark, parse_number
from audiogan.monitors.logs.skipped import Skipped

MAX_LINE_LENGTH = 4000
"""Number of characters read of each line. The rest is ignored."""
_WORD = r"[A-Za-z_][\w./()\-]{0,100}"
_AMOUNT = r"[-+]?(?:\d[\d,.]*\d|\d|\.\d+)(?:[eE][-+]?\d+)?(?:\s?%)?|[-+]?(?:nan|inf(?:inity)?)\b|[-+]?1\.#\w+"
_PAIR = re.compile(
    rf"(?<![\w.])['\"]?({_WORD}(?: {_WORD})?)['\"]?\s*[:=]\s*(?:[A-Za-z_][\w.]*\()?\[?({_AMOUNT})", re.IGNORECASE
)
_SPACED = re.compile(rf"(?<![\w.])((?:[A-Za-z] )?{_WORD}) +({_AMOUNT})(?![\w/:])", re.IGNORECASE)
_LOSS = re.compile("loss|err|cost|grad", re.IGNORECASE)
_COUNTER = re.compile(
    r"\b(epoch|batch|step|iter(?:ation)?s?|itr)\b[\s:=#]*\[?\s*(\d[\d,]*)(?:\s*/\s*(\d[\d,]*))?(?![.\d])", re.IGNORECASE
)
_BRACKETS = re.compile(r"\[\s*(\d+)\s*(?:/\s*\d+\s*)?\]\s*\[\s*(\d+)\s*(?:/\s*(\d+)\s*)?\]")
_BAR = re.compile(r"\b(\d+)/(\d+)\s*(?:\[[\d:=>.\s]|\|)")
_FIRST = re.compile(r"\s*(\d+)\s*(?=\[|:\s)")
_CYCLEGAN = re.compile(r"\(epoch: \d+, iters: \d+, time: [^)]*\)")


def read_lines(text: str, is_metric_name: Callable[[str], bool]) -> tuple[list[dict[str, float]], list[str], list[str]]:
    """Read log lines that contain names and values.

    Args:
        text: content of the file.
        is_metric_name: function that returns True for the names of metrics that the rules of the monitors use.

    Returns:
        The rows of metrics, the names of all metrics, and messages about lines that could not be read.
    """
    lines = [line for part in text.splitlines() for line in part.split("\r") if line.strip()]
    pairs = [_pairs(line) for line in lines]
    mark = detect_decimal_mark((value for found in pairs[:500] for _, value in found), "")
    rows: list[dict[str, float]] = []
    names: dict[str, None] = {}
    skipped = Skipped("they contain no metrics")
    long = Skipped(f"only their first {MAX_LINE_LENGTH:,} characters were read")
    context: dict[str, float] = {}
    for line, found in zip(lines, pairs, strict=True):
        if len(line) > MAX_LINE_LENGTH:
            long.add(line)
        count = _counters(line)
        values = {name: value for name, cell in found if (value := parse_number(cell, mark)) is not None}
        figures = {name: value for name, value in values.items() if not _is_counter(name)}
        names |= dict.fromkeys(figures)
        if not any(map(is_metric_name, figures)) and not any(_is_player_name(name) for name in figures):
            if "epoch" in count:  # Keras prints the epoch on a separate line.
                context = {"epoch": count["epoch"]}
            else:
                skipped.add(line)
            continue
        rows.append({**context, **values, **count})
    return rows, list(names), [*skipped.remarks, *long.remarks] if rows else []


def has_metrics_in_lines(text: str, is_metric_name: Callable[[str], bool], max_lines: int = 40) -> bool:
    """Return whether at least a third of the first lines contain a named metric.

    Args:
        text: content of the file.
        is_metric_name: function that returns True for the names of metrics that the rules of the monitors use.
        max_lines: number of lines to examine.
    """
    lines = [line for line in text[: 1 << 16].splitlines() if line.strip()][:max_lines]
    named = sum(any(is_metric_name(name) or _is_player_name(name) for name, _ in _pairs(line)) for line in lines)
    return 3 * named >= max(len(lines), 1)


def _pairs(line: str) -> list[tuple[str, str]]:
    line = line[:MAX_LINE_LENGTH]
    # pytorch-CycleGAN-and-pix2pix logs only losses after this prefix, but their names do not contain "loss".
    if head := _CYCLEGAN.search(line):
        return [(f"loss_{match[1].strip()}", match[2]) for match in _PAIR.finditer(line, head.end())]
    found = [(match[1].strip(), match[2]) for match in _PAIR.finditer(line)]
    if all(_is_counter(name) for name, _ in found):
        found += [(match[1], match[2]) for match in _SPACED.finditer(line) if _LOSS.search(match[1])]
    return found


def _counters(line: str) -> dict[str, float]:
    """Return the epoch and the step or batch that a line states."""
    found: dict[str, float] = {}
    line = line[:MAX_LINE_LENGTH]
    for match in _COUNTER.finditer(line):
        name = match[1].lower()
        found.setdefault("epoch" if name == "epoch" else "step", float(match[2].replace(",", "")))
    if not found or found.keys() == {"epoch"}:
        if pair := _BRACKETS.search(line):
            found |= {"epoch": float(pair[1]), "step": float(pair[2])}
        elif bar := _BAR.search(line):
            found["step"] = float(bar[1])
        elif not found and (first := _FIRST.match(line)):
            found["step"] = float(first[1])
    return found


def _is_counter(name: str) -> bool:
    return bool(re.fullmatch(r"epoch|batch|step|iter(ation)?s?|itr", name, re.IGNORECASE))


def _is_player_name(name: str) -> bool:
    """Return whether a name denotes a player without a metric, such as D, G or D_A."""
    return bool(re.fullmatch(r"[dg](_[a-z])?|net_?[dg]|discriminator|generator|critic", name, re.IGNORECASE))
