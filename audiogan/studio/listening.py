"""API routes of the blind listening test, in which a listener tells recordings from sounds of the model."""

from __future__ import annotations

import json
import secrets
import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray
from pydantic import Field

from audiogan.errors import UserError
from audiogan.kits.rendering import CEILING_DB, FADE_SECONDS, LOUDNESS, momentary_loudness, true_peak
from audiogan.modalities.wav import encode_wav
from audiogan.model.recipe import Recipe
from audiogan.studio.instrument import Instrument, Name, Seed
from audiogan.studio.limits import Limits, Refused, Slots, StrictModel
from audiogan.studio.mapping import embed_waves
from audiogan.studio.recordings import Recording, Recordings, trim_end
from audiogan.studio.sounds import Studio

router = APIRouter(prefix="/api/listening")
MAX_TRIALS = 60
"""Largest number of sounds in a listening test."""
MAX_TESTS = 4
"""Maximum number of tests in memory. The oldest test is removed first."""
POOL_SIZE, NEIGHBOURS = 256, 5
"""If the path of a recording names no class, the recording is compared with ``POOL_SIZE`` random sounds of the model.
It gets the most frequent class of the ``NEIGHBOURS`` most similar sounds."""
CONFIDENCE = 0.95
"""Confidence level of the Wilson score intervals."""
REAL, GENERATED = "real", "generated"


class NewTest(StrictModel):
    trials: Annotated[int, Field(ge=4, le=MAX_TRIALS)] = 20
    label: Name | None = None
    seed: Seed | None = None


class Answer(StrictModel):
    trial: Annotated[int, Field(ge=0, lt=MAX_TRIALS)]
    answer: Literal["real", "generated"]
    plays: Annotated[int, Field(ge=0, le=10_000)] = 1
    seconds: Annotated[float, Field(ge=0, le=1e6)] = 0.0


@dataclass
class Trial:
    """One sound of a test.

    Attributes:
        truth: "real" or "generated".
        label: class of the sound, or "".
        source: ``{"recording": name}`` or ``{"recipe": ...}``.
        wave: samples, float32 ``[C, T]``.
        answer: dict with ``answer`` ("real" or "generated"), ``plays`` (number of times the sound was played) and
            ``seconds`` (time taken). Empty until the listener has answered.
    """

    truth: str
    label: str
    source: dict[str, Any]
    wave: NDArray[np.float32]
    answer: dict[str, Any] = field(default_factory=dict)


@dataclass
class ListeningTest:
    """Blind test: its sounds in the order in which they are played, and the answers so far."""

    seed: int
    loudness: float
    trials: list[Trial]
    ended: bool = False

    @property
    def answered(self) -> list[Trial]:
        """Trials with an answer."""
        return [trial for trial in self.trials if trial.answer]


class ListeningTests:
    """Blind tests with the sounds of a model and recordings.

    Args:
        instrument: the model.
        recordings: collection of recordings.
    """

    def __init__(self, instrument: Instrument, recordings: Recordings) -> None:
        self.instrument, self.recordings = instrument, recordings
        self.slots = Slots(1, 16, Limits.wait_seconds)
        self._pool: tuple[list[str], NDArray[np.float64]] | None = None
        self._guesses: dict[str, str] = {}
        self._kept: OrderedDict[str, ListeningTest] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def from_request(cls, request: Request) -> ListeningTests:
        return request.app.state.listening

    def create(self, trials: int, label: str | None, seed: int | None) -> str:
        """Draw the sounds of a test and return its id.

        For each trial, a recording is drawn without replacement, and a fair coin decides whether the recording or a new
        sound of the same class is played. The truth of a trial therefore does not depend on its class or on the other
        trials, so that the number of right answers of a guessing listener has a binomial distribution.

        Args:
            trials: number of sounds.
            label: class of the sounds. None: all classes.
            seed: random seed of the test. None: a new one.

        Raises:
            UserError: there are fewer recordings than trials, or the class does not exist.
        """
        if label is not None and label not in self.instrument.generator.labels:
            raise UserError(f"label {label[:60]!r} is not a class of this model")
        found = [kept for kept in self.recordings.all() if label is None or self.find_label(kept) == label]
        if len(found) < trials:
            kind = "recordings" if label is None else f"recordings of the class {label}"
            raise UserError(
                f"{trials} sounds need {trials} {kind}, and there are {len(found)}; add recordings or choose fewer"
            )
        seed = secrets.randbits(32) if seed is None else seed
        rng = np.random.default_rng(seed)
        drawn = [found[i] for i in rng.permutation(len(found))[:trials]]
        made = [self._make_trial(kept, bool(rng.random() < 0.5), int(rng.integers(2**31))) for kept in drawn]
        loudness = match_loudness([trial.wave for trial in made], self.instrument.generator.sample_rate)
        id = secrets.token_hex(8)
        with self._lock:
            self._kept[id] = ListeningTest(seed, loudness, made)
            while len(self._kept) > MAX_TESTS:
                self._kept.popitem(last=False)
        return id

    def get(self, id: str) -> ListeningTest:
        """Return the test with this id.

        Raises:
            Refused: there is no such test (status 404).
        """
        with self._lock:
            if id not in self._kept:
                raise Refused(404, "this listening test does not exist any more; start a new one")
            return self._kept[id]

    def find_label(self, recording: Recording) -> str:
        """Return the class of a recording: from its path, otherwise the most frequent one among similar sounds."""
        generator = self.instrument.generator
        if recording.label or len(generator.labels) < 2:
            return recording.label or "".join(generator.labels)
        if recording.id not in self._guesses:
            if self._pool is None:
                recipes = generator.recipes(POOL_SIZE, seed=0)
                self._pool = [one.label for one in recipes], embed_waves(generator, list(generator.render(recipes)))
            labels, features = self._pool
            far = np.square(features - embed_waves(generator, [recording.wave])).sum(1)
            near = [labels[i] for i in np.argsort(far, kind="stable")[:NEIGHBOURS]]
            self._guesses[recording.id] = Counter(near).most_common(1)[0][0]
        return self._guesses[recording.id]

    def _make_trial(self, recording: Recording, real: bool, seed: int) -> Trial:
        label = self.find_label(recording)
        if real:
            return Trial(REAL, label, {"recording": recording.name}, self._fade_out(recording.wave))
        generator = self.instrument.generator
        recipe = generator.recipes(1, seed=seed, label=label or None)[0]
        return Trial(
            GENERATED, label, {"recipe": self.instrument.to_wire(recipe)}, self._fade_out(self._prepare(recipe))
        )

    def _prepare(self, recipe: Recipe) -> NDArray[np.float32]:
        """Return the sound of a recipe after the same preparation as a recording."""
        from audiogan.latents.recording import prepare_recording

        generator = self.instrument.generator
        wave = generator.render(recipe)[0]
        try:
            return trim_end(prepare_recording(generator, wave, generator.sample_rate))
        except UserError:  # A silent sound cannot be prepared.
            return wave

    def _fade_out(self, wave: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the wave with a fade-out of 10 ms, because recordings may be cut at the length of the model."""
        wave = wave.copy()
        fade = min(round(FADE_SECONDS * self.instrument.generator.sample_rate), wave.shape[1])
        wave[:, wave.shape[1] - fade :] *= np.cos(np.linspace(0, np.pi / 2, fade, dtype=np.float32)) ** 2
        return wave

    def result(self, test: ListeningTest) -> dict[str, Any]:
        """Return the result of a test as a JSON object. The docstring of `get_result` describes it."""
        from audiogan import __version__

        answered = test.answered
        right = [trial for trial in answered if trial.answer["answer"] == trial.truth]
        by_class = {
            label: {
                "answered": sum(trial.label == label for trial in answered),
                "correct": sum(trial.label == label for trial in right),
            }
            for label in sorted({trial.label for trial in answered})
        }
        return {
            "test": "real or generated",
            "version": 1,
            "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "audiogan": __version__,
            "model": self.instrument.name,
            "fingerprint": self.instrument.fingerprint,
            "sample_rate": self.instrument.generator.sample_rate,
            "loudness_lufs": round(test.loudness, 2),
            "seed": test.seed,
            "planned": len(test.trials),
            "answered": len(answered),
            **proportion(len(right), len(answered), chance=0.5),
            "recordings_taken_for_generated": _count_mistakes(answered, REAL),
            "generated_taken_for_recordings": _count_mistakes(answered, GENERATED),
            "by_class": by_class,
            "trials": [
                {"truth": trial.truth, "class": trial.label, **trial.answer, **trial.source} for trial in answered
            ],
        }


def match_loudness(waves: list[NDArray[np.float32]], sample_rate: int) -> float:
    """Scale waves ``[C, T]`` in place to the same momentary loudness. Return this loudness in LUFS.

    The loudness is -26 LUFS, or less if the true peak of a wave would otherwise exceed -1 dBTP.
    """
    levels = [momentary_loudness(wave, sample_rate) for wave in waves]
    room = [CEILING_DB - true_peak(wave, sample_rate) + level for wave, level in zip(waves, levels, strict=True)]
    target = min(LOUDNESS, *(level for level in room if np.isfinite(level)))
    for wave, level in zip(waves, levels, strict=True):
        if np.isfinite(level):
            wave *= np.float32(10 ** ((target - level) / 20))
    return float(target)


def proportion(count: int, total: int, chance: float | None = None) -> dict[str, Any]:
    """Return a count with its share and the Wilson score interval of the share (95 %), as a JSON object.

    Args:
        count: number of successes.
        total: number of trials.
        chance: share under the null hypothesis, for the p-value of the exact two-sided binomial test. None: no p-value.

    Source:
        Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927.

    Examples:
        >>> from audiogan.studio.listening import proportion
        >>> [round(proportion(14, 20)["interval"][end], 3) for end in ("low", "high")]
        [0.481, 0.855]
    """
    from scipy.stats import binomtest

    name = {"correct": count} if chance is not None else {"count": count, "of": total}
    if not total:
        return {**name, "share": None, "interval": None} | ({"p_value": None} if chance is not None else {})
    test = binomtest(count, total, chance if chance is not None else 0.5)
    low, high = test.proportion_ci(CONFIDENCE, method="wilson")
    interval = {
        "method": "Wilson",
        "confidence": CONFIDENCE,
        "low": round(float(low), 4),
        "high": round(float(high), 4),
    }
    p_value = {} if chance is None else {"p_value": float(f"{test.pvalue:.4g}")}
    return {**name, "share": round(count / total, 4), "interval": interval, **p_value}


def _count_mistakes(answered: list[Trial], truth: str) -> dict[str, Any]:
    """Return how many trials with this truth were answered wrongly, see `proportion`."""
    those = [trial for trial in answered if trial.truth == truth]
    return proportion(sum(trial.answer["answer"] != truth for trial in those), len(those))


@router.post("")
async def create_test(request: Request) -> dict[str, Any]:
    """Create a listening test with ``trials`` sounds and return its ``id``.

    Recordings and generated sounds are processed in the same way: they have the same sample rate and loudness, the same
    short time before the onset, and the same fade-out.
    """
    tests, studio = ListeningTests.from_request(request), Studio.from_request(request)
    want = await studio.parse_body(request, NewTest)
    return {"id": await tests.slots.run(tests.create, want.trials, want.label, want.seed), "trials": want.trials}


@router.get("/{id}/{trial}.wav")
async def get_sound(request: Request, id: str, trial: int) -> Response:
    """Return the sound of a trial as a WAV file (32-bit floating point). The file does not show its origin."""
    tests = ListeningTests.from_request(request)
    test = tests.get(id)
    if not 0 <= trial < len(test.trials):
        raise Refused(404, f"this test has the sounds 0 to {len(test.trials) - 1}")
    content = encode_wav(test.trials[trial].wave, tests.instrument.generator.sample_rate, "FLOAT")
    return Response(content, media_type="audio/wav")


@router.post("/{id}/answers")
async def add_answer(request: Request, id: str) -> dict[str, int]:
    """Store the answer to the next trial. The response does not tell whether the answer is right."""
    tests, studio = ListeningTests.from_request(request), Studio.from_request(request)
    want = await studio.parse_body(request, Answer)
    test = tests.get(id)
    if test.ended:
        raise Refused(422, "this test has ended; start a new one")
    if want.trial != len(test.answered) or want.trial >= len(test.trials):
        raise Refused(422, f"trial: {want.trial} is not the next one, which is {len(test.answered)}")
    test.trials[want.trial].answer = {"answer": want.answer, "plays": want.plays, "seconds": round(want.seconds, 2)}
    return {"answered": len(test.answered)}


@router.post("/{id}/result")
async def get_result(request: Request, id: str) -> Response:
    """End a test and return its result.

    The result contains ``correct`` of ``answered`` trials, the ``share``, its Wilson score ``interval`` (95 %), and the
    ``p_value`` of the exact two-sided binomial test against guessing (0.5). The two kinds of mistakes are counted
    separately, with intervals of their own. For each answered trial, ``trials`` has the truth, the answer, the class,
    the number of plays, the time in seconds, and the name of the recording or the recipe of the sound.

    If ``answered`` is less than ``planned``, the listener ended the test early. A listener who ends a test at a
    favourable moment makes the interval meaningless.
    """
    tests = ListeningTests.from_request(request)
    test = tests.get(id)
    if not test.answered:
        raise Refused(422, "no sound of this test has been answered yet")
    test.ended = True
    return Response(json.dumps(tests.result(test), indent=2), media_type="application/json")
