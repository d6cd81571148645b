"""Families of learning curves whose truth is known, which simulated studies train in place of a model.

- `warm-up`: curves rise from the end of their warm-up (0 to 7 of 30 epochs) to their config's quality.
  Configs differ in nothing else; scores have noise of 0.005. A random search is all there is to do.
- `schedules`: the same with five schedules. Except for `constant`, a learning rate that is still high holds
  the score down: they gain late, or fall back again and again. Quality does not depend on the schedule.
- `fitted`: the stock space over 50 epochs, with curves of the shape and noise of real trainings. `Fitted`
  has its constants, and says which of them were measured, and on what.

A family has landscapes, one per study: where its optimum lies, how fast its models learn. A landscape turns
a slot of the study and its params into a `Curve`, which is the same for every sampler and pruner.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from search.loading import vocabulary_of
from search.objective import Params
from search.scoring import best_mean
from search.spec.spec import Spec

Floats = NDArray[np.float64]

SMOOTH = 5
"""Scores in the mean that is a trial's value."""


@dataclass(frozen=True)
class Curve:
    """One training.

    Attributes:
        scores: by epoch from 1, with noise.
        diverged: whether the training ends itself after the last of them; the trial is then pruned.
        value: the config's true value, its best mean of five epochs without noise; 0 if it diverged.
    """

    scores: Sequence[float]
    diverged: bool
    value: float


class Landscape(Protocol):
    """The truth of one study: the curve of the trial in `slot` that has `params`."""

    def __call__(self, slot: int, params: Params) -> Curve: ...


@dataclass(frozen=True)
class Family:
    """A space, and landscapes over it by seed."""

    name: str
    space: Mapping[str, Any]
    landscape: Callable[[int], Landscape]

    @property
    def epochs(self) -> int:
        """The number of epochs of every trial."""
        return int(self.space["trainer"]["epochs"])

    def spec(self, sampler: str = "random", seed: int = 0) -> Spec:
        study = {"smooth": SMOOTH, "sampler": {"kind": sampler, "seed": seed}}
        document = {"objective": "none", "study": study, "space": self.space}
        return Spec.from_document(document, origin=f"family {self.name!r}")


# Where quality has nothing to do with the params ----------------------------------------------------

KINDS = ("constant", "polynomial", "cosine", "one_cycle", "warm_restarts")


@dataclass(frozen=True)
class Chance:
    """The landscape of the study `seed`: a config's quality is N(0.65, 0.02), whatever its params.

    `depth` is by how much a learning rate that is to fall, and has not yet, holds a score down.
    """

    seed: int
    depth: float = 0.0

    def __call__(self, slot: int, params: Params) -> Curve:
        rng = np.random.default_rng([self.seed, slot])
        epochs = params["trainer.epochs"]
        age = np.arange(1, epochs + 1) - params["schedule.warmup_epochs"]
        truth = rng.normal(0.65, 0.02) * (1 - np.exp(-np.maximum(age, 0) / 3))
        if self.depth and params["schedule.kind"] != "constant":
            truth -= self.depth * rate_left(params, epochs) * (age > 0)
        return _curve(truth, truth + rng.normal(0, 0.005, epochs))


WARM_UP = Family(
    "warm-up", {"trainer": {"epochs": 30}, "schedule": {"warmup_epochs": {"low": 0, "high": 7}}}, Chance
)

SCHEDULES = Family(
    "schedules",
    {
        "trainer": {"epochs": 30},
        "schedule": {
            "kind": {"choices": list(KINDS)},
            "warmup_epochs": {"low": 0, "high": 7},
            "restart_epochs": 8,
            "restart_factor": 1,
        },
    },
    lambda seed: Chance(seed, depth=0.04),
)


# Fitted to real trainings ---------------------------------------------------------------------------

SPACE: Mapping[str, Any] = {
    "augment": {"mixup": {"low": 0.0, "high": 1.0}},
    "model": {"dropout": {"low": 0.0, "high": 0.3}},
    "optimizer": {
        "learning_rate": {"low": 2e-4, "high": 3e-3, "log": True},
        "weight_decay": {"low": 1e-5, "high": 1e-2, "log": True},
    },
    "schedule": {
        "kind": {"choices": list(KINDS)},
        "warmup_epochs": {"low": 0, "high": 8},
        "restart_epochs": {"choices": [5, 8, 12], "when": {"schedule.kind": "warm_restarts"}},
        "restart_factor": {"choices": [1, 2], "when": {"schedule.kind": "warm_restarts"}},
    },
    "loss": {"dice_weight": {"low": 0.5, "high": 3.0}},
    "trainer": {"epochs": 50},
}
"""The stock space, with MixUp as a parameter and 200 epochs divided by four."""


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """Constants of the fitted family.

    `hand` are the two recorded hand runs (112 and 143 epochs of 300 and 200), `faces` the 19 whole trials
    of 30 epochs of a study of this project at 96 pixels on 700 real faces: 11 cosine, 5 polynomial, 2
    constant, 1 with warm restarts, none one-cycle. A curve is Hill's function of the epochs at full rate,
    of which a warm-up is worth half as many, less what the learning rate and restarts take. Least squares,
    with floor, steepness, depth and dip in common and a peak and a half for each trial, leave 0.017 of
    `faces`, mostly in the first ten epochs. Without depth and dip they leave 0.016 of `hand`, which is
    its noise, and a Weibull curve leaves more.

    Attributes:
        floor: the score of nothing learned: 0.07 to 0.10 in `hand`, 0.12 in `faces`.
        peak: where the best config's curve tends: 0.674 in `hand`, 0.65 to 0.72 in `faces`.
        steepness: Hill's exponent: 1.4 and 1.5 in `hand`, 1.27 in `faces`.
        half: the epoch at full rate by which half is learned at the learning rate 8e-4, as a share of the
            horizon; a study has one between 8.2 / 200 (`hand`) and 2.6 / 30 (`faces`).
        haste: by which power of the learning rate that comes earlier: 0.39 in `faces`.
        jitter: of that, between trials, in logarithm: 9.4 against 8.2 in `hand`, 0.24 with what does not
            fit in `faces`.
        noise_early, noise_late, noise_rate: standard deviation of a score where nothing is learned, where
            all is and the learning rate is spent, and what the full rate adds: 0.020, 0.0025 and 0.005 in
            `faces`, the last two by third differences from epoch 16 on.
        correlation: of one epoch's noise with the next: 0 and 0.2 in `hand`, 0.3 in `faces` with what does
            not fit.
        spread: by how much the surface falls from the optimum, so that the best scores of random configs
            have the standard deviation of the nine hand runs in the table (0.026) and of `faces` (0.028).
        slow: how much later than without it strong MixUp has learned half, as a share, and `gain`, by how
            much higher its curve tends: the hand run with MixUp was behind until epoch 30 of 200 and
            ended 0.011 above the one without. One run: little is known of either.
        depth: by how much a full learning rate holds a score down: 0.051 (standard error 0.006) in `faces`.
        dip: how far a restart throws it back beyond that: 0.013 (standard error 0.015) in `faces`.
        diverging: share of configs in the upper sixth of the learning rates that diverge; of the others
            a fifteenth of it does. Not measured: none of 26 did.
    """

    floor: float = 0.11
    peak: float = 0.69
    steepness: float = 1.3
    half: tuple[float, float] = (0.041, 0.087)
    haste: float = 0.39
    jitter: float = 0.15
    noise_early: float = 0.02
    noise_late: float = 0.0025
    noise_rate: float = 0.005
    correlation: float = 0.2
    spread: float = 0.15
    slow: float = 0.3
    gain: float = 0.015
    depth: float = 0.05
    dip: float = 0.013
    diverging: float = 0.3


class Surface:
    """The landscape of the study `seed` in a fitted family."""

    def __init__(self, seed: int, constants: Fitted, epochs: int) -> None:
        self.seed, self.constants, self.epochs = seed, constants, epochs
        rng = np.random.default_rng(seed)
        self._optimum = rng.uniform(0.2, 0.8, 4)
        self._half = epochs * np.exp(rng.uniform(*np.log(constants.half)))

    def __call__(self, slot: int, params: Params) -> Curve:
        it, rng = self.constants, np.random.default_rng([self.seed, slot])
        rate = _share(params["optimizer.learning_rate"], 2e-4, 3e-3, log=True)
        decay = _share(params["optimizer.weight_decay"], 1e-5, 1e-2, log=True)
        dropout = _share(params["model.dropout"], 0.0, 0.3)
        dice = _share(params["loss.dice_weight"], 0.5, 3.0)
        mixup, warmup = params["augment.mixup"], params["schedule.warmup_epochs"]

        off = (np.array([rate, decay, dropout, dice]) - self._optimum) ** 2
        peak = it.peak - it.spread * float(off @ (1.0, 0.33, 0.33, 0.33)) + it.gain * (mixup - 1)
        peak += rng.normal(0, 0.003)
        # A small rate learns slowly, strong augmentation and dropout learn slowly and end higher.
        half = self._half * np.exp(rng.normal(0, it.jitter))
        half *= (params["optimizer.learning_rate"] / 8e-4) ** -it.haste
        half *= (1 + it.slow * mixup) * (1 + it.slow / 2 * dropout)

        epoch = np.arange(1.0, self.epochs + 1)
        at_full_rate = np.where(epoch <= warmup, epoch**2 / max(2 * warmup, 1), epoch - warmup / 2)
        learned = 1 / (1 + (half / at_full_rate) ** it.steepness)
        truth = it.floor + (peak - it.floor) * learned
        left = rate_left(params, self.epochs)
        truth -= it.depth * left * learned
        truth -= it.dip * _thrown_back(params, self.epochs) * learned
        if rng.random() < 0.3:  # a third of the runs is past its best at the end, as the recorded ones are
            truth -= rng.uniform(0, 0.04) * np.maximum(epoch / self.epochs - 0.6, 0)
        noise = it.noise_early * (1 - learned) + (it.noise_late + it.noise_rate * left) * learned
        scores = truth + noise * _correlated(rng.normal(size=self.epochs), it.correlation)

        if rng.random() < it.diverging / (1 if rate > 5 / 6 else 15):
            return self._diverge(rng, truth, scores)
        return _curve(truth, scores)

    def _diverge(self, rng: np.random.Generator, truth: Floats, scores: Floats) -> Curve:
        """Half of those that diverge end there, half run on with nothing learned."""
        at = int(rng.integers(3, self.epochs))
        if rng.random() < 0.5:
            return _curve(truth[:at], scores[:at], diverged=True)
        truth[at:] = self.constants.floor
        scores[at:] = self.constants.floor + rng.normal(0, 0.005, self.epochs - at)
        return _curve(truth, scores)


def rate_left(params: Params, epochs: int) -> Floats:
    """The learning rate at each epoch, as a share of the full one; during the warm-up the full one."""
    warmup, kind = params["schedule.warmup_epochs"], params["schedule.kind"]
    age = np.maximum(np.arange(epochs) - warmup + 0.5, 0)
    progress = age / (epochs - warmup)
    if kind == "constant":
        return np.ones(epochs)
    if kind == "polynomial":
        return (1 - progress) ** 0.9
    if kind == "one_cycle":
        progress = np.where(progress < 0.3, 1 - progress / 0.3, (progress - 0.3) / 0.7)
    elif kind == "warm_restarts":
        starts = np.array([warmup, *_restarts(params, epochs), epochs + params["schedule.restart_epochs"]])
        cycle = np.searchsorted(starts, np.arange(epochs), side="right").clip(1) - 1
        progress = ((np.arange(epochs) - starts[cycle] + 0.5) / np.diff(starts)[cycle]).clip(0)
    return (1 + np.cos(np.pi * progress)) / 2


def _restarts(params: Params, epochs: int) -> list[int]:
    """After how many epochs the rate is restarted, each time."""
    first_epochs = vocabulary_of().curve(params).restarts
    return [epoch - 1 for epoch in takewhile(lambda epoch: epoch <= epochs, first_epochs)]


def _thrown_back(params: Params, epochs: int) -> Floats:
    """1 right after a restart, half of it two epochs later; 0 before the first."""
    back = np.zeros(epochs)
    if params["schedule.kind"] == "warm_restarts":
        for start in _restarts(params, epochs):
            back[start:] = 0.5 ** (np.arange(epochs - start) / 2)
    return back


def _share(value: float, low: float, high: float, log: bool = False) -> float:
    if log:
        value, low, high = float(np.log(value)), float(np.log(low)), float(np.log(high))
    return (value - low) / (high - low)


def _correlated(white: Floats, correlation: float) -> Floats:
    """AR(1) of unit variance from white noise of unit variance."""
    noise = white.copy()
    for epoch in range(1, len(noise)):
        noise[epoch] = correlation * noise[epoch - 1] + (1 - correlation**2) ** 0.5 * white[epoch]
    return noise


def _curve(truth: Floats, scores: Floats, diverged: bool = False) -> Curve:
    value = None if diverged else best_mean(truth.tolist(), SMOOTH)
    return Curve(scores.tolist(), diverged, value or 0.0)


def fitted(name: str = "fitted", **changed: Any) -> Family:
    """The fitted family, or one with other constants."""
    constants = Fitted(**changed)
    epochs = SPACE["trainer"]["epochs"]
    return Family(name, SPACE, lambda seed: Surface(seed, constants, epochs))


FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        WARM_UP,
        SCHEDULES,
        fitted(),
        fitted("fitted, noise of the hand runs", noise_early=0.0165, noise_late=0.0165, noise_rate=0.0),
        fitted("fitted, slower starters", slow=0.8, gain=0.02),
        fitted("fitted, shallow schedules", depth=0.02, dip=0.03),
    )
}
