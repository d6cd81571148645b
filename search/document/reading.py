"""YAML 1.2 as nodes with their places.

Scalars are read as YAML 1.2 defines them, while PyYAML follows 1.1: `8e-4` and `1E5` are numbers, and `on`,
`no`, `1:30` and `2024-01-01` are strings. A key may be given once. Hexadecimal and octal numbers and tags
are not supported.
"""

import re
from collections.abc import Callable
from pathlib import Path

import yaml

from search.document.node import Node
from search.errors import SpaceError
from search.objective import Value

_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan", re.IGNORECASE)
_REMEDIES = {
    "found character '\\t'": "; indent with spaces",
    "mapping values are not allowed": "; begin a new line, or quote a text that holds ': '",
}


def read_document(path: Path) -> Node:
    """The document in the file `path`; raises SpaceError naming the file, line and column."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
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
    return parse_yaml(text, lambda mark: f"{path}:{mark.line + 1}:{mark.column + 1}")


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
