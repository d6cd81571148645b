"""Do intervals over seeds and images hold? Simulated trainings with known truth.

    python benchmarks/image_calibration.py --pairs 1000

Two configs are trained on the same seeds and scored on the same images. The F of an image is a logistic
function of a sum: the image's difficulty (t-distributed with five degrees of freedom, as a few images are
much harder), the config, the seed, what a seed changes of a config, what the config changes of an image
(skewed: most images gain nothing, a few gain much) and noise of seed and image. The truth is the mean
difference over new seeds and images, of 100,000 of them.

In percent of pairs with 95 % intervals (Wilson 1927): `over seeds`, the interval over seeds holds the
truth; `same images`, it holds the mean difference over new seeds on the same images, which is what it is
about; `over both`, the interval over seeds and images holds the truth. `wider`: how much, by median.
"""

import argparse
from statistics import median

import numpy as np
from simulation.percentages import percentage

from search.analysis.image_intervals import image_difference
from search.analysis.noise import Floats
from search.analysis.paired_seeds import Blocks

NEW = 100_000
FAMILIES: dict[str, tuple[float, float, float, float]] = {
    # by logits: the gain of b, what a seed changes of a config, of an image, what a config changes of one
    "equal, images alike": (0.0, 0.02, 0.15, 0.0),
    "equal, images differ": (0.0, 0.02, 0.15, 0.15),
    "equal, images differ much": (0.0, 0.01, 0.15, 0.4),
    "b better, images differ": (0.05, 0.02, 0.15, 0.15),
    "noisy seeds": (0.0, 0.08, 0.15, 0.15),
}


def logistic(x: Floats) -> Floats:
    scores: Floats = 1 / (1 + np.exp(-x))
    return scores


def trainings(
    rng: np.random.Generator,
    family: tuple[float, float, float, float],
    images: Floats,
    tastes: Floats,
    seeds: int,
) -> Floats:
    """Scores by config, seed and image, (2, seeds, images)."""
    gain, of_seed, of_image, of_taste = family
    shared = 0.05 * rng.standard_normal((1, seeds, 1))
    own = of_seed * rng.standard_normal((2, seeds, 1))
    noise = of_image * rng.standard_normal((2, seeds, len(images)))
    config = np.array([0.0, gain])[:, None, None] + np.array([0, 1])[:, None, None] * of_taste * tastes
    return logistic(0.8 + images + shared + own + noise + config)


def sampled(rng: np.random.Generator, count: int) -> tuple[Floats, Floats]:
    """The difficulty of images, and how much they like config b: mean 0, standard deviation 1, skewed."""
    return 0.5 * rng.standard_t(5, count), rng.exponential(size=count) - 1


def truth_of(family: tuple[float, float, float, float], rng: np.random.Generator) -> float:
    scores = trainings(rng, family, *sampled(rng, NEW), 20)
    a, b = scores.mean(axis=(1, 2))
    return float(b - a)


def row(family: tuple[float, float, float, float], seeds: int, images: int, pairs: int) -> str:
    rng = np.random.default_rng(7)
    truth = truth_of(family, rng)
    held: dict[str, list[bool]] = {"seeds": [], "same": [], "both": []}
    wider = []
    names = [str(number) for number in range(images)]
    for _ in range(pairs):
        sample = sampled(rng, images)
        scores = trainings(rng, family, *sample, seeds)
        over_seeds = Blocks(scores.mean(axis=2)).difference(1, 0)
        if over_seeds is None:
            raise ValueError("two seeds are the fewest")
        by_image = [
            (dict(zip(names, b, strict=True)), dict(zip(names, a, strict=True)))
            for a, b in zip(*scores, strict=True)
        ]
        found = image_difference("b", over_seeds, by_image)
        if found is None:
            raise ValueError("two images are the fewest")
        both = found.over_both
        a, b = trainings(rng, family, *sample, 400).mean(axis=(1, 2))
        held["seeds"].append(over_seeds.low <= truth <= over_seeds.high)
        held["same"].append(over_seeds.low <= b - a <= over_seeds.high)
        held["both"].append(both.low <= truth <= both.high)
        wider.append((both.high - both.low) / (over_seeds.high - over_seeds.low))
    return " | ".join([*map(percentage, held.values()), f"{median(wider):.2f}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pairs", type=int, default=1000, help="a row")
    arguments = parser.parse_args()
    print("| family | seeds | images | over seeds | same images | over both | wider |")
    print("|---|---|---|---|---|---|---|")
    for name, family in FAMILIES.items():
        for seeds, images in ((3, 100), (6, 100), (6, 30)):
            print(
                f"| {name} | {seeds} | {images} | {row(family, seeds, images, arguments.pairs)} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
