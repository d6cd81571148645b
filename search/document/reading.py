"""YAML 1.2 as nodes with their places.

Scalars are read as YAML 1.2 defines them, while PyYAML follows 1.1: `8e-4` and `1E5` are numbers, and `on`,
`no`, `1:30` and `2024-01-01` are strings. A key may be given once. Hexadecimal and octal numbers and tags
are not supported.
"""

import re
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import yaml

from search.document.node import Node
from search.errors import SpaceError
from search.objective import Value

_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan", re.IGNORECASE)
MOST_BYTES = 1_000_000
"""Of a file: no document is that long, and a device may have no end."""

MOST_VALUES = 100_000
"""In one document, counted wherever an alias repeats them: a few lines of nested aliases make billions."""

_REMEDIES = {
    "found character '\\t'": "; indent with spaces",
    "mapping values are not allowed": "; begin a new line, or quote a text that holds ': '",
}


def read_document(path: Path, *, numbered: bool = False) -> Node:
    """The document in the file `path`; raises SpaceError naming the file, line and column.

    Args:
        numbered: see `parse_yaml`.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise SpaceError(f"{path}: has more than {MOST_BYTES:,} bytes; name a YAML document")
        text = content.decode("utf-8-sig")
    except FileNotFoundError as error:
        raise SpaceError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise SpaceError(f"{path}: is a folder; name the file in it") from error
    except OSError as error:
        raise SpaceError(f"{str(path)[:200]}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SpaceError(
            f"{path}: is not a text in UTF-8 (byte {error.start}); save it as UTF-8"
        ) from error
    return parse_yaml(text, lambda mark: f"{path}:{mark.line + 1}:{mark.column + 1}", numbered=numbered)


def parse_yaml(text: str, place: Callable[[yaml.Mark], str], *, numbered: bool = False) -> Node:
    """The one document in `text`; `place` names a position in it.

    Args:
        numbered: whether a key may be a number, which is then its text.
    """
    start = yaml.Mark("", 0, 0, 0, None, 0)
    try:
        root = yaml.compose(text, Loader=yaml.BaseLoader)
        if root is None:
            return Node(None, place(start))
        return _Builder(place, numbered).node(root, root.start_mark, ())
    except yaml.MarkedYAMLError as error:
        problem = ", ".join(filter(None, (error.context, error.problem)))
        remedy = next((remedy for part, remedy in _REMEDIES.items() if part in problem), "")
        raise SpaceError(f"{place(error.problem_mark or start)}: not YAML: {problem}{remedy}") from error
    except yaml.reader.ReaderError as error:
        problem = f"is not a text: character U+{error.character:04X} at offset {error.position}"
        raise SpaceError(f"{place(start)}: {problem}") from error
    except RecursionError as error:
        raise SpaceError(f"{place(start)}: is nested too deeply") from error


class _Builder:
    """Makes nodes of PyYAML's, which know their tags and positions."""

    def __init__(self, place: Callable[[yaml.Mark], str], numbered: bool) -> None:
        self._place = place
        self._numbered = numbered
        self._count: Iterator[int] = count(1)

    def node(self, node: yaml.Node, mark: yaml.Mark, parents: tuple[yaml.Node, ...]) -> Node:
        """The node that stands at `mark`, inside `parents`."""
        here = self._place(mark)
        if node in parents:
            raise SpaceError(f"{here}: the alias contains itself")
        if next(self._count) > MOST_VALUES:
            raise SpaceError(f"{here}: the document has more than {MOST_VALUES} values; use fewer aliases")
        if node.tag.removeprefix("tag:yaml.org,2002:") not in ("str", "map", "seq"):
            raise SpaceError(f"{here}: the tag {node.tag} is not supported; omit it")
        if isinstance(node, yaml.ScalarNode):
            return Node(_scalar(node.value) if node.style is None else node.value, here)
        inside = (*parents, node)
        if isinstance(node, yaml.SequenceNode):
            return Node([self.node(item, item.start_mark, inside) for item in node.value], here)
        return Node(self._entries(node, inside), here)

    def _entries(self, node: yaml.Node, inside: tuple[yaml.Node, ...]) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        inherited: dict[str, Node] = {}
        for key, value in node.value:
            name = self.node(key, key.start_mark, inside)
            item = self.node(value, key.start_mark, inside)
            if self._numbered and type(name.value) is int:
                name = Node(key.value, name.place)
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
        return {**inherited, **entries}


def _scalar(text: str) -> Value:
    if text.lower() in _WORDS and text in (text.lower(), text.upper(), text.title()):
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text
