"""The figures that a run has logged: the input of the rules.

Roles of players come from the configuration of a run. In logs of other programs they are guessed from names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Container, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Words in the names of foreign logs. `d` and `g` alone are common: d_loss, loss_G, netD/loss.
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

    Figures of players that the settings name keep their names. All others are translated (see `canonical`), so that
    foreign logs can be read.

    Args:
        rows: objects of ``metrics.jsonl``: a ``step`` and figures.
        settings: the flattened configuration (``lr.critic``: 0.0002): overrides are made from it, and
            ``players.NAME.role`` says which players are critics and generators. Empty for a foreign log.
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]] = (), settings: Mapping[str, Any] | None = None) -> None:
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
                own = own_name(name, self.roles)
                self._names[name], self._halves[name] = own or canonical(name), None if own else half(name)
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

    @property
    def roles(self) -> dict[str, str]:
        """Role of each player by its name in the log, from the settings; empty for a foreign log."""
        return roles_of(self.settings)

    def players(self, role: str) -> list[str]:
        """Return the names of the players of a role, ``critic`` or ``generator``, that have logged figures.

        Roles come from the settings. Where those name none (foreign logs, and runs of earlier versions), they are
        guessed: from names, and from scores, as a critic notes real and fake logits and a generator fake ones only.
        """
        names = dict.fromkeys(n.rsplit("/", 1)[0] for n in self.names if n.rsplit("/", 1)[-1] in OWN)
        roles = self.roles
        if roles:
            return [player for player in names if roles.get(player) == role]
        by_name = CRITIC if role == "critic" else GENERATOR
        found = []
        for player in names:
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
        """Return an override that multiplies a setting; empty if the setting is not known."""
        value = self.setting(key)
        return "" if value is None else f"{key}={value * factor:.3g}"

    def configured(self, role: str) -> list[str]:
        """Return the names of the players of a role in the settings; the role itself where the settings name none."""
        roles = self.roles
        return [name for name, of_player in roles.items() if of_player == role] if roles else [role]

    def rate(self, player: str) -> str:
        """Return the key of the learning rate of a player; empty if the settings have none.

        ``lr.NAME``, or ``lr.ROLE`` (which several critics can share) if it is the rate of the player's optimizer, or
        ``players.NAME.optimizer.lr``.
        """
        own = f"players.{player}.optimizer.lr"
        rate = self.setting(own)
        for key in (f"lr.{player}", f"lr.{self.roles.get(player)}"):
            if self.setting(key) is not None and rate in (None, self.setting(key)):
                return key
        return "" if rate is None else own


def roles_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the role of each player by its name, from a flattened configuration; empty if no role is in it."""
    found: dict[str, str] = {}
    for key, role in settings.items():
        parts = key.split(".")
        if len(parts) == 3 and parts[0] == "players" and parts[2] == "role" and isinstance(role, str):
            found[str(settings.get(f"players.{parts[1]}.name", parts[1]))] = role
    return found


def own_name(name: str, players: Container[str]) -> str:
    """Return the name of a figure that one of the players logged and that rules read; otherwise an empty string."""
    player, _, figure = name.rpartition("/")
    return name if figure in OWN and player in players else ""


def canonical(name: str) -> str | None:
    """Return our name for a figure of a foreign log; ``None`` for one that no rule reads.

    Knows ``d_loss``, ``loss_G``, ``Loss/D/loss``, ``lossD_A``, ``D(x)``, ``D(G(z))``, ``Loss/scores/real``,
    ``discriminator/grad_norm`` and the like. Our own names stay.
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
