"""Claims about what changed between two runs, checked against what was recorded.

A claim is what a write-up says: `LR 4e-4 -> 8e-4`. It is found if a leaf of that name has the first value
in the first run and the second value in the second.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from search import formatting
from search.document.node import show
from search.document.reading import parse_yaml
from search.errors import SpaceError, UserError
from search.objective import Vocabulary

NOTHING_WORDS = ("none", "null", "off", "never", "-", "–", "")

TOLERANCE = 0.01
"""Relative error allowed in a claimed value, since people round. Whole numbers must be exact."""

_CLAIM = re.compile(
    r"(?P<name>.*?[^\W\d_][^:=]*?)\s*[:=]?\s+(?:from\s+)?"
    r"(?P<old>[^\s:=]+)\s*(?:->|=>|→|\bto\b)\s*(?P<new>\S+)"
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A change that somebody claims was made; `name` as written, values as YAML reads them."""

    text: str
    name: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Finding:
    """What the records say about a claim: whether it holds, and a sentence with the recorded values."""

    text: str
    found: bool
    recorded: str


def parse_claim(text: str) -> Claim:
    """`LR 4e-4 -> 8e-4`, `warm-up: 0 to 5`, `patience none -> 30`; UserError for anything else."""
    matched = _CLAIM.fullmatch(" ".join(text.split()))
    if matched is None:
        raise UserError(f'--claim {show(text)}: not of the form NAME OLD -> NEW, as in "LR 4e-4 -> 8e-4"')
    return Claim(text, matched["name"], _value(matched["old"]), _value(matched["new"]))


def check_claim(
    claim: Claim, a: Mapping[str, Any], b: Mapping[str, Any], vocabulary: Vocabulary
) -> Finding:
    """Checks `claim` against the leaves of two runs by dotted name; an absent leaf is None."""
    leaves = _meant(claim.name, [*a, *(leaf for leaf in b if leaf not in a)], vocabulary)
    if not leaves:
        return Finding(claim.text, False, f"not found: neither run records {claim.name}")
    recorded = []
    for leaf in leaves:
        old, new = a.get(leaf), b.get(leaf)
        equal = f"{leaf} is {formatting.parameter(old)} in both"
        values = equal if old == new else f"{leaf} {formatting.change(old, new)}"
        if _same(claim.old, old) and _same(claim.new, new):
            return Finding(claim.text, True, f"found: {values}")
        recorded.append(f"equal: {values}" if old == new else values)
    return Finding(claim.text, False, f"not found; {'; '.join(recorded)}")


def _meant(name: str, leaves: Iterable[str], vocabulary: Vocabulary) -> list[str]:
    """The leaves that `name` may mean: by their whole name, or else by its end."""
    words = _words(name)
    words = vocabulary.aliases.get(words, words)
    ends = [words, *filter(None, [vocabulary.recorded_aliases.get(words)])]
    written = {leaf: _words(leaf) for leaf in leaves}
    exact = [leaf for leaf, each in written.items() if each == words]
    return exact or [
        leaf
        for leaf, each in written.items()
        if any(each == end or each.endswith(f"_{end}") for end in ends)
    ]


def _words(name: str) -> str:
    """`Warm-up epochs` and `schedule.warmup_epochs` in one notation: lower case, joined by `_`."""
    return "_".join(re.findall(r"[a-z0-9]+", name.lower()))


def _value(text: str) -> Any:
    text = text.strip("\"'`,;")
    if text.lower() in NOTHING_WORDS:
        return None
    try:
        return parse_yaml(text, lambda _: "--claim").plain()
    except SpaceError:
        return text


def _same(claimed: Any, recorded: Any) -> bool:
    if isinstance(claimed, bool) or isinstance(recorded, bool):
        return claimed is recorded
    if isinstance(claimed, int | float) and isinstance(recorded, int | float):
        return abs(claimed - recorded) <= (TOLERANCE * abs(recorded) if isinstance(recorded, float) else 0)
    if isinstance(claimed, str) and isinstance(recorded, str):
        return _words(claimed) == _words(recorded)
    return bool(claimed == recorded)
