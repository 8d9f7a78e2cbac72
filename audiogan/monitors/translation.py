"""Rules for translations: copied or ignored sources, ignored latents, inverted colours, hidden sources, checkerboards.

`audiogan.monitors.translation_probe` defines the metrics.
"""

from __future__ import annotations

from collections.abc import Callable

from audiogan.monitors.advice import first_valid_override
from audiogan.monitors.finding import Finding
from audiogan.monitors.history import History, Inapplicable
from audiogan.monitors.progress import WINDOW, recent_median

# Fractions of the training budget. No rule reports a finding before EARLIEST, because untrained generators ignore
# their sources, and untrained residual generators copy them. After LATE, a generator that copies or ignores its source
# will not recover. Checkerboards are reported after LATE, because networks with pixel shuffle lose them slowly.
EARLIEST, LATE = 0.15, 0.4
# Outputs count as copies if their relative distance to the sources is below MAX_COPY_DISTANCE. The relative distance is
# the distance between outputs and sources, divided by the distance between sources and targets. An output that corrects
# a fraction f of the error of its source has a relative distance of f. A super-resolution network that gains 0.7 dB
# corrects a fraction of 0.39.
MAX_COPY_DISTANCE = 0.2
# Outputs count as no better than their sources if their relative distance to the targets is at least
# MIN_UNIMPROVED_DISTANCE. The relative distance is the distance between outputs and targets, divided by the distance
# between sources and targets. It is 0.94 for a network that gains 0.5 dB, and 0.4 for a denoising network that gains 8
# dB.
MIN_UNIMPROVED_DISTANCE = {"pairs": 0.95, "domains": 0.9}
# The source counts as ignored if `source_effect` is below this. Healthy runs have values of 0.5 to 1.
MIN_SOURCE_EFFECT = 0.1
# Each output is compared with its own target and with 15 other targets. If the own target is the nearest for less than
# this fraction of the outputs, outputs count as unrelated to their targets. Random outputs reach 0.06 +- 0.03.
MIN_OWN_TARGET_RATE = 0.15
MIN_LATENT_EFFECT = 0.02  # The latent counts as ignored if `latent_effect` is below this, about one level of 8 bits.
# Correlation between outputs and sources below which colours count as inverted. The rule applies only if the
# correlation between targets and sources is at least MIN_EXPECTED_CORRELATION.
MAX_INVERTED_CORRELATION, MIN_EXPECTED_CORRELATION = -0.3, 0.3
# A source counts as hidden in its translation if two conditions are true: faint noise on the translation multiplies the
# cycle error by MIN_ERROR_GROWTH or more, and the generator back to the source amplifies this noise by MIN_NOISE_GAIN
# or more. In a healthy CycleGAN that was trained on pictures of leaves, the gain was at most 0.5.
MIN_ERROR_GROWTH, MIN_NOISE_GAIN = 2.0, 4.0
NOISE = 2 / 255  # Standard deviation of the noise on translations, as a fraction of the range of values.
# A pattern is reported if its strength relative to real data is at least MIN_PATTERN_STRENGTH, and if the difference
# between neighbouring pixels is at least MIN_PATTERN_AMPLITUDE on the scale -1 to 1 (0.05 is 6 of 255 levels). Healthy
# runs have differences of 0.003 to 0.014. Denoising networks with pixel shuffle have 0.02 to 0.035.
MIN_PATTERN_STRENGTH, MIN_PATTERN_AMPLITUDE = 4.0, 0.05


def copies_source(history: History) -> Finding | None:
    """Return a finding if outputs are copies of their sources and no nearer to the targets.

    Restored pictures are near their sources too, but they are nearer to the targets.
    """
    near, far = (_recent(history, name) for name in ("source_distance", "target_distance"))
    kind = "pairs" if len(history.find_curve("monitor/translation/own_target")) else "domains"
    if _too_early(history) or near > MAX_COPY_DISTANCE or far < MIN_UNIMPROVED_DISTANCE[kind]:
        return None
    text = (
        f"outputs are copies of their sources: they differ from them by {near:.0%} of the distance between sources and "
        f"targets, and are no nearer to the targets ({far:.0%} of that distance)"
    )
    if kind == "pairs":
        advice = "check data.a, data.b and data.direction; train longer, or weigh the distance to the target more"
        override = _scaled(history, 10, "game.distances.l1.weight")
    else:
        advice = "lower the weights of the identity and cycle losses"
        override = _scaled(history, 0.2, "game.identity.weight", "game.cycle.weight")
    figures = {"distance to the source": near, "distance to the target": far}
    return _finding(history, "copied source", _severity(history), text, advice, override, figures)


def ignores_source(history: History) -> Finding | None:
    """Return a finding if outputs do not depend on their sources, or match other targets as well as their own."""
    effect, own = _recent(history, "source_effect"), history.find_curve("monitor/translation/own_target")
    # Copies and outputs with inverted colours are far from their own targets too, but they depend on the source.
    limits = {"source_distance": MAX_COPY_DISTANCE, "colour": MAX_INVERTED_CORRELATION}
    curves = {name: history.find_curve(f"monitor/translation/{name}") for name in limits}
    other = any(len(curve) >= WINDOW and recent_median(curve) < limits[name] for name, curve in curves.items())
    found = recent_median(own) if len(own) >= WINDOW and not other else 1.0
    if _too_early(history) or (effect >= MIN_SOURCE_EFFECT and found >= MIN_OWN_TARGET_RATE):
        return None
    figures = {"effect of the source": effect} | ({"own target nearest": own.last} if len(own) else {})
    if effect < MIN_SOURCE_EFFECT:
        text = (
            f"outputs hardly depend on their sources: for another source they change by {effect:.0%} of the distance "
        )
        text += "between targets"
    else:
        text = (
            f"outputs match other targets as well as their own: of 16 targets, the own one is nearest for {found:.0%}"
        )
    advice = (
        "check that sources and targets belong together; weigh the distance to the target more; give the source to "
    )
    advice += "the critic"
    override = _scaled(history, 10, "game.distances.l1.weight") or _scaled(history, 2, "game.cycle.weight")
    return _finding(history, "ignored source", _severity(history), text, advice, override, figures)


def ignores_latent(history: History) -> Finding | None:
    """Return a finding if outputs for one source do not change with the latent.

    Source: Zhu et al., "Toward multimodal image-to-image translation", NeurIPS 2017, section 3.1.
    """
    effect = _recent(history, "latent_effect")
    if _too_early(history) or effect >= MIN_LATENT_EFFECT:
        return None
    text = f"the latent has no effect: outputs change by {effect:.1%} of the distance between targets"
    advice = "remove the latent (latent_dim=0), or weigh the distance to the target less"
    override = _scaled(history, 0.1, "game.distances.l1.weight")
    return _finding(history, "ignored latent", "warning", text, advice, override, {"effect of the latent": effect})


def inverts_colours(history: History) -> Finding | None:
    """Return a finding if bright areas of the sources are dark in the outputs, although they are bright in targets."""
    colour, expected = (_recent(history, name) for name in ("colour", "colour_expected"))
    if _too_early(history) or colour > MAX_INVERTED_CORRELATION or expected < MIN_EXPECTED_CORRELATION:
        return None
    text = f"colours are inverted: outputs and sources have a correlation of {colour:.2f}, targets and sources of "
    text += f"{expected:.2f}; training rarely undoes this"
    advice = "start again with another seed and a larger weight of the identity loss"
    override = _scaled(history, 2, "game.identity.weight") or _next_seed(history)
    figures = {"correlation of outputs": colour, "correlation of targets": expected}
    return _finding(history, "inverted colours", _severity(history), text, advice, override, figures)


def hides_source(history: History) -> Finding | None:
    """Return a finding if a translation hides its source in faint details, which faint noise destroys.

    Source: Chu, Zhmoginov & Sandler, "CycleGAN, a master of steganography", NeurIPS workshop 2017.
    """
    error, noisy, rounded = (_recent(history, f"cycle_error{end}") for end in ("", "_noise", "_rounded"))
    gain = max(noisy**2 - error**2, 0.0) ** 0.5 / NOISE
    if _too_early(history) or noisy < MIN_ERROR_GROWTH * error or gain < MIN_NOISE_GAIN:
        return None
    text = (
        f"translations contain their source as faint noise: the cycle error is {error:.3f}, but {noisy:.3f} if noise "
        f"of two levels of 8 bits is added to the translations, and {rounded:.3f} if they are rounded to 8 bits"
    )
    advice = "lower the weight of the cycle loss; do not judge the run by its cycle loss"
    override = _scaled(history, 0.2, "game.cycle.weight")
    figures = {"cycle error": error, "with noise": noisy, "rounded": rounded, "gain": gain}
    return _finding(history, "hidden source", "warning", text, advice, override, figures)


def checkerboard_pattern(history: History) -> Finding | None:
    """Return a finding if outputs show a visible pattern that repeats every 2 or 4 pixels, and real data do not."""
    strength, amplitude = (_recent(history, name) for name in ("checkerboard", "checkerboard_amplitude"))
    if history.budget_used < LATE or strength < MIN_PATTERN_STRENGTH or amplitude < MIN_PATTERN_AMPLITUDE:
        return None
    text = (
        f"outputs have a checkerboard pattern: frequencies of the upsampling layers are {strength:.0f} times as strong "
    )
    text += f"as in real data, with differences of {127.5 * amplitude:.0f} of 255 levels between pixels"
    advice = (
        "use upsampling layers that interpolate before a convolution (upsampling: nearest), or kernels whose side is "
    )
    advice += "a multiple of the stride"
    figures = {"strength": strength, "amplitude": amplitude}
    return _finding(history, "checkerboard", "warning", text, advice, "", figures)


TRANSLATION_RULES: dict[str, Callable[[History], Finding | None]] = {
    "copied source": copies_source,
    "ignored source": ignores_source,
    "ignored latent": ignores_latent,
    "inverted colours": inverts_colours,
    "hidden source": hides_source,
    "checkerboard": checkerboard_pattern,
}


def _recent(history: History, name: str) -> float:
    """Return the recent median of a metric. Raise `Inapplicable` if the run does not measure the metric."""
    name = f"monitor/translation/{name}"
    if not len(history.find_curve(name)):
        raise Inapplicable(f"the log has no {name}")
    return recent_median(history.require_curve(name, WINDOW))


def _too_early(history: History) -> bool:
    return history.budget_used < EARLIEST


def _severity(history: History) -> str:
    return "failure" if history.budget_used >= LATE else "warning"


def _scaled(history: History, factor: float, *keys: str) -> str:
    """Return overrides that multiply settings by ``factor``. Settings that are missing or 0 are left out."""
    return " ".join(history.scaled_setting_override(key, factor) for key in keys if history.setting(key))


def _next_seed(history: History) -> str:
    seed = history.setting("seed")
    return "" if seed is None else f"seed={seed + 1:.0f}"


def _finding(
    history: History, kind: str, severity: str, text: str, advice: str, override: str, figures: dict[str, float]
) -> Finding:
    override = first_valid_override(history.settings, [override])
    return Finding(kind, history.step, severity, text, advice, override, figures)
