"""space.yaml as a document: reading it, and laying profiles and `--set` over it."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from search.document.node import Node, is_section, show
from search.document.reading import parse_yaml, read_document
from search.errors import SpaceError

RESERVED = ("avoid", "known", "name", "objective", "profiles", "report", "space", "study")
"""Names that no parameter or section at the top of `space` may have: `--set` and `known` use them."""


_NAME = re.compile(r"[\w-]+")


def check_name(name: str, node: Node) -> None:
    """Raise SpaceError for a name that a dotted path, a flag or a list of known configs cannot hold."""
    if not _NAME.fullmatch(name):
        hint = "; nest it in a section" if "." in name.strip(".") else ""
        raise node.error(f"{name!r} is not a name: use letters, digits, _ and -{hint}")


def read_yaml(path: Path) -> Node:
    """The document in the file `path`; raises SpaceError naming the file, line and column."""
    root = read_document(path)
    if not isinstance(root.value, dict):
        content = "is empty" if root.value is None else f"holds {root.show()}, not names and values"
        raise SpaceError(f"{path}: {content}; it needs at least objective and space")
    return root


def merge(old: Node, new: Node, path: tuple[str, ...] = ()) -> Node:
    """`old` with `new` laid over it: sections are merged, values and whole parameters replaced.

    Raises SpaceError where one has a section and the other has none.
    """
    if old.value is None or not (is_section(old) or is_section(new)):
        return new
    if not is_section(new):
        name, what = dotted(path), "a parameter" if new.entries() else new.show()
        names = " or ".join(f"{name}.{entry}" for entry in old.entries())
        raise new.error(f"{name}: {what} cannot replace a section" + (f"; set {names}" if names else ""))
    if not is_section(old):
        what = "a parameter" if old.entries() else old.show()
        raise new.error(f"{dotted(path)}: a section cannot replace {what}")
    kept = old.entries()
    kind = new.entries().get("kind")
    if path[:1] == ("study",) and kind and kind.value != old.nearest(("kind",)).value:
        # The options of a sampler or a pruner belong to its kind; the seed does not.
        kept = {name: item for name, item in kept.items() if name == "seed"}
    over = {
        name: merge(kept[name], item, (*path, name)) if name in kept else item
        for name, item in new.entries().items()
    }
    return Node({**kept, **over}, old.place)


def override(root: Node, text: str) -> Node:
    """`root` with one `--set NAME=VALUE` applied; VALUE is YAML.

    NAME is relative to `space` unless it begins with `study.` or `report.` or is `objective`. It may be
    new, and may go into a parameter: `optimizer.learning_rate.high`.
    """
    name, new = assignment(text)
    place = new.place
    path = name.split(".")
    for part in path:
        check_name(part, new)
    if path[0] in ("study", "report") or name == "objective":
        for part in reversed(path):
            new = Node({part: new}, place)
        return merge(root, new)
    if path[0] in RESERVED:
        rest = ".".join(path[1:])
        remedy = f"write {rest}" if path[0] == "space" and rest else "edit the file"
        raise new.error(f"names are relative to space, except study., report. and objective; {remedy}")
    return _assign(root, ("space", *path), new, ())


def assignment(text: str) -> tuple[str, Node]:
    """The name and the value of one `--set NAME=VALUE`; VALUE is YAML."""
    name, equals, value = text.partition("=")
    name = name.strip()
    if not equals or not name:
        raise SpaceError(f"--set {show(text)}: is not NAME=VALUE, as in data.image_size=96")
    place = f"--set {name}"
    if not value.strip():
        raise SpaceError(f"{place}: has no value; null says that none is meant")
    return name, parse_yaml(value, lambda _: place)


def assign(space: Node, values: Mapping[str, Any]) -> Node:
    """The section `space` with other values by dotted name."""
    for name, value in values.items():
        space = _assign(space, name.split("."), Node.of(value, space.place), ("space",))
    return space


def dotted(path: Sequence[str]) -> str:
    """A path in the document as a user writes it, relative to `space`."""
    return ".".join(path[1:] if path[0] == "space" and len(path) > 1 else path)


def _assign(old: Node, rest: Sequence[str], new: Node, path: tuple[str, ...]) -> Node:
    if not rest:
        return merge(old, new, path)
    if old.value is not None and not isinstance(old.value, dict):
        raise new.error(f"{dotted(path)} is {old.show()}, not a section that could hold {rest[0]}")
    inside = old.entries().get(rest[0], Node(None, new.place))
    entries = {**old.entries(), rest[0]: _assign(inside, rest[1:], new, (*path, rest[0]))}
    return Node(entries, old.place)
