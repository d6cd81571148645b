"""A YAML document that remembers where every value was written.

A `Node` is a value and its place. A profile or `--set` moves whole nodes, so a value keeps its place, and
whatever is wrong with it is reported with the line it was written on.

Scalars are read as YAML 1.2 defines them, while PyYAML follows 1.1: `8e-4` and `1E5` are numbers, and `on`,
`no`, `1:30` and `2024-01-01` are strings. Hexadecimal and octal numbers and tags are not supported.
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from search.errors import SpaceError, unknown_name
from search.objective import Value

RESERVED = ("avoid", "known", "name", "objective", "profiles", "report", "space", "study")
"""Names that no parameter or section at the top of `space` may have: `--set` and `known` use them."""

_NAME = re.compile(r"[\w-]+")
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan", re.IGNORECASE)
_REMEDIES = {
    "found character '\\t'": "; indent with spaces",
    "mapping values are not allowed": "; begin a new line, or quote a text that holds ': '",
}


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it was written.

    Attributes:
        value: a scalar, a mapping by name, or a list.
        place: `space.yaml:12:17` (line and column from 1; of the key, where the value has one),
            `--set NAME`, or the name of a document that has no text (`study 'mseg'`).
    """

    value: "Value | dict[str, Node] | list[Node]"
    place: str

    @classmethod
    def of(cls, value: Any, place: str) -> "Node":
        """A node of plain data that all has one place."""
        if isinstance(value, dict):
            return cls({name: cls.of(item, place) for name, item in value.items()}, place)
        if isinstance(value, list):
            return cls([cls.of(item, place) for item in value], place)
        return cls(value, place)

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {name: item.plain() for name, item in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value

    def show(self) -> str:
        """The value as YAML writes it, on one line and cut where it is long."""
        return show(self.plain())

    def entries(self) -> "dict[str, Node]":
        """The entries of a mapping; none for a value or a list."""
        return self.value if isinstance(self.value, dict) else {}

    def mapping(self, name: str, allowed: Collection[str] | None = None) -> "dict[str, Node]":
        """The entries of a section called `name`, none for null.

        Raises SpaceError for anything else, and for an entry that is not `allowed`.
        """
        if self.value is not None and not is_section(self):
            what = "a parameter" if self.entries() else self.show()
            raise self.error(f"{name}: {what} is not a section; write names and values below it")
        if allowed is not None:
            self.check_names(name, allowed)
        return self.entries()

    def check_names(self, label: str, allowed: Collection[str]) -> None:
        """Raise SpaceError for the first entry that is not `allowed`."""
        for name, item in self.entries().items():
            if name not in allowed:
                raise item.error(unknown_name(label, name, allowed))

    def nearest(self, path: Sequence[str]) -> "Node":
        """The node at `path`, or the last one on the way to it."""
        inside = self.entries().get(path[0]) if path else None
        return inside.nearest(path[1:]) if inside else self

    def error(self, sentence: str, parameter: str | None = None) -> SpaceError:
        """`place: sentence`, on one line; a name that is in the place (`--set NAME`) is not repeated."""
        text = sentence.removeprefix(f"{self.place.removeprefix('--set ')}: ")
        return SpaceError(f"{self.place}: {' '.join(text.split())}", parameter=parameter)


def is_section(node: Node) -> bool:
    """Whether a mapping groups names; one with any of these words is a single parameter."""
    return isinstance(node.value, dict) and not {"low", "high", "choices"} & node.value.keys()


def show(value: object) -> str:
    """A value as YAML writes it, on one line and cut where it is long."""
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, list | tuple):
        text = f"[{', '.join(map(show, value))}]"
    elif value is None or isinstance(value, bool):
        text = "null" if value is None else str(value).lower()
    else:
        text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def check_name(name: str, node: Node) -> None:
    """Raise SpaceError for a name that a dotted path, a flag or a list of known configs cannot hold."""
    if not _NAME.fullmatch(name):
        hint = "; nest it in a section" if "." in name.strip(".") else ""
        raise node.error(f"{name!r} is not a name: use letters, digits, _ and -{hint}")


# Reading ----------------------------------------------------------------------------------------------


def read_yaml(path: Path) -> Node:
    """The document in the file `path`; raises SpaceError naming the file, line and column."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise SpaceError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise SpaceError(f"{path}: is a folder; name the file in it") from error
    except OSError as error:
        raise SpaceError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SpaceError(
            f"{path}: is not a text in UTF-8 (byte {error.start}); save it as UTF-8"
        ) from error
    root = parse_yaml(text, lambda mark: f"{path}:{mark.line + 1}:{mark.column + 1}")
    if not isinstance(root.value, dict):
        content = "is empty" if root.value is None else f"holds {root.show()}, not names and values"
        raise SpaceError(f"{path}: {content}; it needs at least objective and space")
    return root


def parse_yaml(text: str, place: Callable[[yaml.Mark], str]) -> Node:
    """The one document in `text`; `place` names a position in it."""
    start = yaml.Mark("", 0, 0, 0, None, 0)
    try:
        root = yaml.compose(text, Loader=yaml.BaseLoader)
        return Node(None, place(start)) if root is None else _build(root, root.start_mark, place, ())
    except yaml.MarkedYAMLError as error:
        problem = ", ".join(filter(None, (error.context, error.problem)))
        remedy = next((remedy for part, remedy in _REMEDIES.items() if part in problem), "")
        raise SpaceError(f"{place(error.problem_mark or start)}: not YAML: {problem}{remedy}") from error
    except yaml.reader.ReaderError as error:
        problem = f"is not a text: character U+{error.character:04X} at offset {error.position}"
        raise SpaceError(f"{place(start)}: {problem}") from error
    except RecursionError as error:
        raise SpaceError(f"{place(start)}: is nested too deeply") from error


def _build(
    node: yaml.Node, mark: yaml.Mark, place: Callable[[yaml.Mark], str], parents: tuple[yaml.Node, ...]
) -> Node:
    here = place(mark)
    if node in parents:
        raise SpaceError(f"{here}: the alias contains itself")
    if node.tag.removeprefix("tag:yaml.org,2002:") not in ("str", "map", "seq"):
        raise SpaceError(f"{here}: the tag {node.tag} is not supported; omit it")
    if isinstance(node, yaml.ScalarNode):
        return Node(_scalar(node.value) if node.style is None else node.value, here)
    inside = (*parents, node)
    if isinstance(node, yaml.SequenceNode):
        return Node([_build(item, item.start_mark, place, inside) for item in node.value], here)
    entries: dict[str, Node] = {}
    inherited: dict[str, Node] = {}
    for key, value in node.value:
        name = _build(key, key.start_mark, place, inside)
        item = _build(value, key.start_mark, place, inside)
        if not isinstance(name.value, str):
            raise name.error(f"{name.show()} is not a name; quote it if it is meant as one")
        if name.value in entries:
            first = entries[name.value].place
            also = f" (first at {first})" if first != name.place else ""
            raise name.error(f"{name.value!r} is given twice{also}; keep one")
        if name.value == "<<":
            for source in item.value if isinstance(item.value, list) else [item]:
                if not isinstance(source.value, dict):
                    raise item.error("'<<' takes in a mapping or a list of mappings")
                inherited = {**source.value, **inherited}
        else:
            entries[name.value] = item
    return Node({**inherited, **entries}, here)


def _scalar(text: str) -> Value:
    if text.lower() in _WORDS and text in (text.lower(), text.upper(), text.title()):
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


# Laying one document over another ---------------------------------------------------------------------


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
    name, equals, value = text.partition("=")
    name = name.strip()
    if not equals or not name:
        raise SpaceError(f"--set {show(text)}: is not NAME=VALUE, as in data.image_size=96")
    place = f"--set {name}"
    if not value.strip():
        raise SpaceError(f"{place}: has no value; null says that none is meant")
    new = parse_yaml(value, lambda _: place)
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
