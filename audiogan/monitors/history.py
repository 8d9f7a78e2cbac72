"""The logged metrics of a run, which are the input of the rules.

The configuration of a run states the role of each player. In logs of other programs, roles are inferred from names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Container, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Words for critics and generators in other programs' logs. Single letters are common: d_loss, loss_G, netD/loss.
CRITIC_WORDS = {"critic", "discriminator", "disc", "dis", "d", "netd", "judge", "adversary"}
GENERATOR_WORDS = {"generator", "gen", "g", "netg", "maker"}
STEP_NAMES = ("step", "global_step", "iteration", "iter", "iters", "steps", "it", "n_iter", "batch", "kimg", "epoch")
# For metrics in other programs' logs: words that the metric name contains there -> name of the metric in this package.
METRIC_NAMES = {
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
FAKE_WORDS = {"fake", "generated", "synthetic"}
"""Words that denote samples of the generator."""
IGNORED_WORDS = {"train", "training", "total", "step", "net", "model", "log", "metrics", "epoch"}
"""Words in the names of other programs' metrics that have no meaning for the rules."""
OWN_METRICS = ("loss", "grad_norm", "real_logits", "fake_logits", "separation", "logit_spread", "accuracy")
"""Metrics that audiogan logs for each player (such as the critic) as ``PLAYER/METRIC``."""


class Missing(LookupError):
    """Error raised by a rule if the log lacks a metric that the rule needs, or has too few values of it."""


class Inapplicable(Missing):
    """Error raised by a rule that does not concern the run, such as a rule for sources in a run without sources."""


class Curve(NamedTuple):
    """Values of one metric over the run, with the steps at which they were logged.

    Examples:
        >>> import numpy as np
        >>> from audiogan.monitors import Curve
        >>> curve = Curve(np.array([0, 50, 100]), np.array([1.5, 1.2, 1.1]))
        >>> len(curve), curve.tail(2).steps.tolist()
        (3, [50, 100])
    """

    steps: Array
    values: Array

    def __len__(self) -> int:
        return len(self.steps)

    def tail(self, n: int) -> Curve:
        """Return the last ``n`` points, or all points if there are fewer."""
        start = max(len(self) - n, 0)
        return Curve(self.steps[start:], self.values[start:])

    @property
    def last(self) -> float:
        return float(self.values[-1])


class History:
    """The metrics of a run by name, in the order of their steps.

    A row with a smaller step than its predecessor means that the run was resumed from an earlier checkpoint. The values
    that were logged earlier for this step and for later steps are then dropped.

    Metrics of players that the settings define keep their names. All other names are converted by `canonical_name`, so
    that logs of other programs can be read.

    Args:
        rows: objects of ``metrics.jsonl``, each with a ``step`` and metrics.
        settings: flattened configuration, e.g. ``{"lr.critic": 0.0002}``. The overrides that
            findings recommend are computed from it. ``players.NAME.role`` states which players are critics and
            generators. Empty for logs of other programs.

    Examples:
        >>> from audiogan.monitors import History
        >>> history = History([{"step": 0, "critic/loss": 1.5}, {"step": 50, "critic/loss": 1.2}])
        >>> history.names, history.find_curve("critic/loss").last
        (['critic/loss'], 1.2)
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
        """Append a row. Values that are not numbers are ignored; ``"nan"`` and ``"inf"`` count as numbers."""
        step = step_from_row(row)
        if step is None:
            return
        if step < self.step:
            self._drop_from_step(step)
        self.step = step
        self.seconds = _number(row.get("seconds")) or self.seconds
        found: dict[str, list[float]] = {}
        halves: dict[str, dict[str, float]] = {}
        for name, value in row.items():
            if name not in self._names:
                own = to_player_metric_name(name, self.roles)
                self._names[name] = own or canonical_name(name)
                self._halves[name] = None if own else parse_partial_critic_loss(name)
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

    def _drop_from_step(self, step: int) -> None:
        for steps, values in self._lists.values():
            while steps and steps[-1] >= step:
                steps.pop()
                values.pop()

    @property
    def budget_used(self) -> float:
        """Fraction of the training budget that is used, from 0 at the start to 1 at the end. 1 if the budget is
        unknown. The budget is ``trainer.steps`` or ``trainer.minutes``. If both are set, the larger fraction counts.
        """
        steps, minutes = self.setting("trainer.steps"), self.setting("trainer.minutes")
        shares = [self.step / steps] if steps else []
        shares += [self.seconds / (60 * minutes)] if minutes else []
        return min(1.0, max(shares, default=1.0))

    @property
    def names(self) -> list[str]:
        """Names of the metrics that have been logged."""
        return [name for name, (steps, _) in self._lists.items() if steps]

    def raw_curve(self, name: str) -> Curve:
        """Return all values of a metric, including NaN and infinity. Empty if it was never logged."""
        if name not in self._arrays:
            steps, values = self._lists.get(name, ([], []))
            self._arrays[name] = Curve(np.asarray(steps), np.asarray(values))
        return self._arrays[name]

    def find_curve(self, name: str) -> Curve:
        """Return the finite values of a metric. ``monitor/diversity`` also matches
        ``monitor/diversity/EXTRACTOR@COUNT``.
        """
        if name not in self._lists:
            name = next((n for n in self.names if n.startswith(f"{name}/")), name)
        curve = self.raw_curve(name)
        finite = np.isfinite(curve.values)
        return curve if finite.all() else Curve(curve.steps[finite], curve.values[finite])

    def require_curve(self, name: str, min_values: int = 1, description: str = "") -> Curve:
        """Return the finite values of a metric. Raise `Missing` if there are fewer than ``min_values``.

        Args:
            name: name of the metric, see `find_curve`.
            min_values: smallest number of values that is sufficient.
            description: the metric in words, for the error message. Default: its name.
        """
        curve = self.find_curve(name)
        if len(curve) < min_values:
            count = f"only {len(curve)} value{'s' * (len(curve) > 1)} of" if len(curve) else "no"
            raise Missing(f"the log has {count} {description or name}")
        return curve

    @property
    def roles(self) -> dict[str, str]:
        """Role of each player, by the player's name in the log. Empty for logs of other programs."""
        return roles_from_settings(self.settings)

    def players(self, role: str) -> list[str]:
        """Return the names of the players with a role that have logged metrics.

        Roles come from the settings. If the settings define no roles, they are inferred: from names, and from logits,
        because a critic logs real and fake logits and a generator only fake logits.

        Args:
            role: ``critic`` or ``generator``.
        """
        names = dict.fromkeys(n.rsplit("/", 1)[0] for n in self.names if n.rsplit("/", 1)[-1] in OWN_METRICS)
        roles = self.roles
        if roles:
            return [player for player in names if roles.get(player) == role]
        by_name = CRITIC_WORDS if role == "critic" else GENERATOR_WORDS
        found = []
        for player in names:
            real, fake = (f"{player}/{side}_logits" in self._lists for side in ("real", "fake"))
            named = bool(by_name & set(split_words(player)))
            judged = (real and fake) if role == "critic" else (fake and not real)
            if named or judged:
                found.append(player)
        return found

    def setting(self, key: str) -> float | None:
        """Return a numeric setting of the configuration, or ``None`` if it is unknown or not a number."""
        value = self.settings.get(key)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def scaled_setting_override(self, key: str, factor: float) -> str:
        """Return an override that multiplies a setting by ``factor``, or an empty string if the setting is unknown."""
        value = self.setting(key)
        return "" if value is None else f"{key}={value * factor:.3g}"

    def configured_players(self, role: str) -> list[str]:
        """Return the names of the players with a role, from the settings. If the settings define no roles, return
        ``[role]``.
        """
        roles = self.roles
        return [name for name, of_player in roles.items() if of_player == role] if roles else [role]

    def learning_rate_key(self, player: str) -> str:
        """Return the configuration key of a player's learning rate, or an empty string if the settings have none.

        If the setting ``lr.NAME`` or ``lr.ROLE`` equals the rate of the player's optimizer, its key is returned.
        Otherwise, the key is ``players.NAME.optimizer.lr``.
        """
        own = f"players.{player}.optimizer.lr"
        rate = self.setting(own)
        for key in (f"lr.{player}", f"lr.{self.roles.get(player)}"):
            if self.setting(key) is not None and rate in (None, self.setting(key)):
                return key
        return "" if rate is None else own


def roles_from_settings(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the role of each player by its name, from a flattened configuration. Empty if no roles are defined."""
    found: dict[str, str] = {}
    for key, role in settings.items():
        parts = key.split(".")
        if len(parts) == 3 and parts[0] == "players" and parts[2] == "role" and isinstance(role, str):
            found[str(settings.get(f"players.{parts[1]}.name", parts[1]))] = role
    return found


def to_player_metric_name(name: str, players: Container[str]) -> str:
    """Return ``name`` if a rule reads this metric and it belongs to one of ``players``, else an empty string."""
    player, _, figure = name.rpartition("/")
    return name if figure in OWN_METRICS and player in players else ""


def canonical_name(name: str) -> str | None:
    """Convert the name of a metric in another program's log. Return ``None`` if no rule reads the metric.

    Examples of recognised names: ``d_loss``, ``loss_G``, ``Loss/D/loss``, ``lossD_A``, ``D(x)``, ``D(G(z))``,
    ``Loss/scores/real`` and ``discriminator/grad_norm``. Names of this package are returned unchanged.
    """
    if name.startswith("monitor/") or (name.rsplit("/", 1)[-1] in OWN_METRICS and "/" in name and name == name.lower()):
        return name
    compact = re.sub(r"[\s_]", "", name).lower()
    if compact in ("d(x)", "dx", "realscore", "realscores", "loss/scores/real", "dreal", "scores/real", "logits/real"):
        return "critic/real_logits"
    if compact in ("d(g(z))", "dgz", "dgz1", "d(g(z))1", "dfake", "fakescore", "fakescores", "scores/fake"):
        return "critic/fake_logits"
    if compact in ("loss/scores/fake", "logits/fake"):
        return "critic/fake_logits"
    words = split_words(name)
    role, parts = _role(words)
    figure = next((f for needed, f in METRIC_NAMES.items() if set(needed) <= set(words)), None)
    if figure is None or not role:
        return None
    known = {w for needed in METRIC_NAMES for w in needed}
    left = [w for w in words if w not in known and w not in parts and w not in IGNORED_WORDS]
    if set(left) & {"real", *FAKE_WORDS, "val", "valid", "validation", "test", "std", "min", "max"}:
        return None  # A part of a loss, or a loss on data other than training data, is not the loss of a player.
    return f"{' '.join([role, *left])}/{figure}"


def parse_partial_critic_loss(name: str) -> tuple[str, str] | None:
    """Parse the name of a critic loss that covers only real or only fake samples.

    Examples of recognised names: ``d_loss_real``, ``loss_D_fake``, ``loss_disc_generated`` and ``real_loss``. The
    critic's loss is the sum of both parts.

    Returns:
        The name of the critic's loss, and ``real`` or ``fake``. ``None`` for any other metric.
    """
    words = ["fake" if word in FAKE_WORDS else word for word in split_words(name)]
    sides = {"real", "fake"} & set(words)
    role, _ = _role(words)
    if len(sides) != 1 or role == "generator":
        return None
    [side] = sides
    rest = [word for word in words if word != side] if role else ["critic", *(word for word in words if word != side)]
    known = canonical_name(" ".join(rest))
    return (known, side) if known and known.endswith("/loss") and (role or known == "critic/loss") else None


def _role(words: list[str]) -> tuple[str, set[str]]:
    critic, generator = CRITIC_WORDS & set(words), GENERATOR_WORDS & set(words)
    if critic and not generator:
        return "critic", critic
    if generator and not critic:
        return "generator", generator
    return "", set()


def split_words(name: str) -> list[str]:
    """Split a name into lower-case words, e.g. ``lossD_A`` into loss, d, a."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [word for word in re.split(r"[^a-z0-9]+", spaced.lower()) if word]


def step_from_row(row: Mapping[str, Any]) -> int | None:
    """Return the step of a row, or ``None`` if the row has none."""
    for name in STEP_NAMES:
        value = _number(row.get(name))
        if value is not None:
            return int(value) if math.isfinite(value) else None
    for name, value in row.items():  # Some logs prefix the name of the step, e.g. Progress/kimg.
        amount = _number(value)
        if split_words(name)[-1:] in ([s] for s in STEP_NAMES) and amount is not None and math.isfinite(amount):
            return int(amount)
    return None


def _number(value: Any) -> float | None:
    if isinstance(value, Mapping):  # StyleGAN logs a metric as {"num", "mean", "std"}.
        value = value.get("mean")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
