"""What a run has logged, figure by figure: all that a rule may look at. Foreign logs are read under our names."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Words in the names of other people's logs. `d` and `g` alone are common: d_loss, loss_G, netD/loss.
CRITIC = {"critic", "discriminator", "disc", "dis", "d", "netd", "judge", "adversary"}
GENERATOR = {"generator", "gen", "g", "netg", "maker"}
STEPS = ("step", "global_step", "iteration", "iter", "iters", "steps", "it", "n_iter", "batch", "kimg", "epoch")
FIGURES = {  # words that a name must hold -> what we call it
    ("grad", "norm"): "grad_norm",
    ("gradnorm",): "grad_norm",
    ("accuracy",): "accuracy",
    ("acc",): "accuracy",
    ("loss",): "loss",
    ("losses",): "loss",
    ("cost",): "loss",
    ("err",): "loss",
    ("error",): "loss",
}
FAKE = {"fake", "generated", "synthetic"}
"""Words for samples of the generator."""
NOISE = {"train", "training", "total", "step", "net", "model", "log", "metrics", "epoch"}
OWN = ("loss", "grad_norm", "real_logits", "fake_logits", "separation", "logit_spread", "accuracy")


class Missing(LookupError):
    """A rule needs a figure that the log does not have, or not yet often enough: it abstains."""


class Curve(NamedTuple):
    """One figure over the run: the steps and the values, equally long."""

    steps: Array
    values: Array

    def __len__(self) -> int:
        return len(self.steps)

    def since(self, step: float) -> Curve:
        """The part at ``step`` and later."""
        return self.tail(len(self) - int(np.searchsorted(self.steps, step)))

    def tail(self, n: int) -> Curve:
        """The last ``n`` points, or all if there are fewer."""
        start = max(len(self) - n, 0)
        return Curve(self.steps[start:], self.values[start:])

    @property
    def last(self) -> float:
        return float(self.values[-1])


class History:
    """The figures of a run by name, in the order of their steps.

    A row of an earlier step than the last means that the run went back to a checkpoint: what it takes again is
    forgotten first.

    Names are translated first (see `canonical`), so that other people's logs can be read.

    Args:
        rows: objects of ``metrics.jsonl``: a ``step`` and figures.
        settings: the flattened configuration (``lr.critic``: 0.0002), from which overrides are made.
    """

    def __init__(
        self,
        rows: Iterable[Mapping[str, Any]] = (),
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.settings = dict(settings or {})
        self.step, self.seconds = 0, 0.0
        self._lists: dict[str, tuple[list[float], list[float]]] = {}
        self._names: dict[str, str | None] = {}
        self._halves: dict[str, tuple[str, str] | None] = {}
        self._arrays: dict[str, Curve] = {}
        for row in rows:
            self.add(row)

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a row. Values that are no numbers are left out; ``"nan"`` and ``"inf"`` are numbers."""
        step = step_of(row)
        if step is None:
            return
        if step < self.step:
            self._forget(step)
        self.step = step
        self.seconds = _number(row.get("seconds")) or self.seconds
        found: dict[str, list[float]] = {}
        halves: dict[str, dict[str, float]] = {}
        for name, value in row.items():
            if name not in self._names:
                self._names[name], self._halves[name] = canonical(name), half(name)
            known, part, amount = self._names[name], self._halves[name], _number(value)
            if amount is None:
                continue
            if known:
                found.setdefault(known, []).append(amount)
            elif part:
                halves.setdefault(part[0], {})[part[1]] = amount
        for known, parts in halves.items():
            if len(parts) == 2 and known not in found:
                found[known] = [parts["real"] + parts["fake"]]
        for known, amounts in found.items():
            steps, values = self._lists.setdefault(known, ([], []))
            steps += [float(step)] * len(amounts)
            values += amounts
        self._arrays.clear()

    def _forget(self, step: int) -> None:
        for steps, values in self._lists.values():
            while steps and steps[-1] >= step:
                steps.pop()
                values.pop()

    @property
    def spent(self) -> float:
        """Share of the budget that is spent, by ``trainer.steps`` and ``trainer.minutes``; 1 if neither is known."""
        steps, minutes = self.setting("trainer.steps"), self.setting("trainer.minutes")
        shares = [self.step / steps] if steps else []
        shares += [self.seconds / (60 * minutes)] if minutes else []
        return min(1.0, max(shares, default=1.0))

    @property
    def names(self) -> list[str]:
        """Figures there are."""
        return [name for name, (steps, _) in self._lists.items() if steps]

    def raw(self, name: str) -> Curve:
        """A figure with all its values, also those that are not finite; empty if it was never logged."""
        if name not in self._arrays:
            steps, values = self._lists.get(name, ([], []))
            self._arrays[name] = Curve(np.asarray(steps), np.asarray(values))
        return self._arrays[name]

    def find(self, name: str) -> Curve:
        """Finite values of a figure. ``monitor/diversity`` also finds ``monitor/diversity/EXTRACTOR@COUNT``."""
        if name not in self._lists:
            name = next((n for n in self.names if n.startswith(f"{name}/")), name)
        curve = self.raw(name)
        finite = np.isfinite(curve.values)
        return curve if finite.all() else Curve(curve.steps[finite], curve.values[finite])

    def need(self, name: str, least: int = 1, what: str = "") -> Curve:
        """``find``, but `Missing` if there are fewer than ``least`` values."""
        curve = self.find(name)
        if len(curve) < least:
            shown = what or name
            raise Missing(f"no {shown} in the log" if not len(curve) else f"{shown} was logged {len(curve)} times only")
        return curve

    def players(self, role: str) -> list[str]:
        """Names of the players of a role, ``critic`` or ``generator``, by what they logged and by what they are called.

        A critic notes real and fake logits, a generator fake ones only.
        """
        by_name = CRITIC if role == "critic" else GENERATOR
        found = []
        for player in dict.fromkeys(n.rsplit("/", 1)[0] for n in self.names if n.rsplit("/", 1)[-1] in OWN):
            real, fake = (f"{player}/{side}_logits" in self._lists for side in ("real", "fake"))
            named = bool(by_name & set(words_of(player)))
            judged = (real and fake) if role == "critic" else (fake and not real)
            if named or judged:
                found.append(player)
        return found

    def setting(self, key: str) -> float | None:
        """A number of the configuration, if it is known."""
        value = self.settings.get(key)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def scaled(self, key: str, factor: float) -> str:
        """An override that multiplies a setting; empty if the setting is not known."""
        value = self.setting(key)
        return "" if value is None else f"{key}={value * factor:.3g}"


def canonical(name: str) -> str | None:
    """Our name for a figure in someone else's log; ``None`` for one that no rule would read.

    Knows ``d_loss``, ``loss_G``, ``Loss/D/loss``, ``lossD_A``, ``D(x)``, ``D(G(z))``, ``Loss/scores/real``,
    ``discriminator/grad_norm`` and their like. What is already ours stays.
    """
    if name.startswith("monitor/") or (name.rsplit("/", 1)[-1] in OWN and "/" in name and name == name.lower()):
        return name
    compact = re.sub(r"[\s_]", "", name).lower()
    if compact in ("d(x)", "dx", "realscore", "realscores", "loss/scores/real", "dreal", "scores/real", "logits/real"):
        return "critic/real_logits"
    if compact in ("d(g(z))", "dgz", "dgz1", "d(g(z))1", "dfake", "fakescore", "fakescores", "scores/fake"):
        return "critic/fake_logits"
    if compact in ("loss/scores/fake", "logits/fake"):
        return "critic/fake_logits"
    words = words_of(name)
    role, parts = _role(words)
    figure = next((f for needed, f in FIGURES.items() if set(needed) <= set(words)), None)
    if figure is None or not role:
        return None
    known = {w for needed in FIGURES for w in needed}
    left = [w for w in words if w not in known and w not in parts and w not in NOISE]
    if set(left) & {"real", *FAKE, "val", "valid", "validation", "test", "std", "min", "max"}:
        return None  # part of a loss, or of other data
    return f"{' '.join([role, *left])}/{figure}"


def half(name: str) -> tuple[str, str] | None:
    """Our name for the critic's loss, and ``real`` or ``fake``, for a figure that is the loss on one of them.

    Knows ``d_loss_real``, ``loss_D_fake``, ``loss_disc_generated`` and the like, and ``real_loss`` alone. The sum of
    both is the critic's loss.
    """
    words = ["fake" if word in FAKE else word for word in words_of(name)]
    sides = {"real", "fake"} & set(words)
    role, _ = _role(words)
    if len(sides) != 1 or role == "generator":
        return None
    [side] = sides
    rest = [word for word in words if word != side] if role else ["critic", *(word for word in words if word != side)]
    known = canonical(" ".join(rest))
    return (known, side) if known and known.endswith("/loss") and (role or known == "critic/loss") else None


def _role(words: list[str]) -> tuple[str, set[str]]:
    critic, generator = CRITIC & set(words), GENERATOR & set(words)
    if critic and not generator:
        return "critic", critic
    if generator and not critic:
        return "generator", generator
    return "", set()


def words_of(name: str) -> list[str]:
    """Split a name into words in lower case: ``lossD_A`` into loss, d, a."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [word for word in re.split(r"[^a-z0-9]+", spaced.lower()) if word]


def step_of(row: Mapping[str, Any]) -> int | None:
    """Return the step of a row; ``None`` where it names none."""
    for name in STEPS:
        value = _number(row.get(name))
        if value is not None:
            return int(value) if math.isfinite(value) else None
    for name, value in row.items():  # Progress/kimg and the like
        amount = _number(value)
        if words_of(name)[-1:] in ([s] for s in STEPS) and amount is not None and math.isfinite(amount):
            return int(amount)
    return None


def _number(value: Any) -> float | None:
    if isinstance(value, Mapping):  # StyleGAN's {"num", "mean", "std"}
        value = value.get("mean")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
