"""The model card: what an exported model is, what it scores, how to load it, where it comes from."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from search.formatting import interval, score

WHAT = {
    "README.md": "this page",
    "export.json": "the same for machines, with colours, parameters and the data's fingerprint",
    "config.yaml": "the settings of the training",
    "model.py": "the model's code; it needs nothing of mseg-search",
    "weights.safetensors": "the weights",
}


def card(document: Mapping[str, Any], usage: str, files: Sequence[str]) -> str:
    """The page, in Markdown.

    Args:
        document: what `export.json` holds. usage: Markdown, how to load the model.
        files: the other files of the folder.
    """
    model = document["model"]
    parts = [
        f"# {document['title']}",
        " ".join(_what(model)),
        "## How good it is",
        "\n\n".join(_scores(document["metrics"])),
        "## How to load it",
        usage,
        "## Where it comes from",
        "\n".join(_origin(document)),
        "## Files",
        "\n".join(f"- `{name}`: {WHAT.get(name, 'needed by model.py')}" for name in ("README.md", *files)),
    ]
    return "\n\n".join(parts) + "\n"


def _what(model: Mapping[str, Any]) -> Iterator[str]:
    parameters, classes = model.get("parameters"), model.get("classes") or ()
    count = f" with {parameters:,} trainable parameters" if parameters else ""
    yield f"A model of the kind `{model.get('kind', 'unknown')}`{count}."
    if classes:
        yield f"It gives each pixel of an image one of {len(classes)} classes: {', '.join(classes)}."
    yield "It has seen one data set only, and holds for images like those."


def _scores(metrics: Mapping[str, Any] | None) -> Iterator[str]:
    if metrics is None:
        yield "Nothing here measures it: its scores are unknown, or of images that it was trained on."
        return
    best = f"epoch {metrics['best_epoch']}, whose weights these are, scored {score(metrics['best_score'])}"
    if "value" not in metrics:
        yield f"On validation images ({metrics['score']}), {best}. That is the best epoch of one run."
        return
    fresh = metrics["confirmation"]
    raced = fresh is not None and fresh["has_this_run"]
    run = "one of those below" if raced else f"out of a search of {metrics['trials']} trials"
    yield (
        f"On validation images it reached {score(metrics['value'])} ({metrics['score']}, the best mean of "
        f"{metrics['smooth']} validations); {best}. This is one run with one seed, {run}. The best of many "
        "runs is partly luck."
    )
    if fresh is None:
        yield "The config was not trained again on fresh seeds; `search confirm` does that."
        return
    mean, difference = fresh["mean"], fresh["difference"]
    if mean is not None:
        yield (
            f"The config was trained again on {fresh['seeds']} fresh seeds: mean {score(mean['value'])}, "
            f"95 % interval {interval(mean['low'], mean['high'], '')}. These weights are "
            f"from {'one' if raced else 'none'} of these runs."
        )
    if difference is not None:
        yield (
            f"Compared with {fresh['against']} on the same seeds: {difference['value']:+.4f}, 95 % "
            f"interval {interval(difference['low'], difference['high'])}; {fresh['verdict']}."
        )


def _origin(document: Mapping[str, Any]) -> Iterator[str]:
    provenance = document["provenance"]
    training, exported = provenance["training"], provenance["exported"]
    if provenance["study"] is not None:
        why = f" ({document['why']})" if document["why"] else ""
        yield f"- trial {provenance['trial']} of study `{provenance['study']}`{why}"
    if provenance["seed"] is not None:
        yield f"- seed {provenance['seed']}"
    for name, value in training.items():
        if name != "seed" and not name.startswith("data."):
            yield f"- {name.replace('_', ' ')}: {value}"
    for name, value in (provenance["data"] or {}).items():
        yield f"- data, {name}: {value}"
    yield f"- exported by {exported['by']} at {exported['at']}: `{exported['command']}`"
