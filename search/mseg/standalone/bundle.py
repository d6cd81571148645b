"""Functions and classes of this program as one file that needs nothing else of it.

What they use is collected from the sources, name by name, and written in an order in which everything is
defined before it is used. Comments and docstrings stay. Of `Annotated[int, Field(...)]` only `int` stays,
so that nobody needs pydantic. What cannot be copied (a module of ours that is used as a whole, two things
of one name) raises BundleError, which is a mistake in this program.
"""

import ast
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

OURS = "search"


class BundleError(Exception):
    """A source that cannot be copied name by name."""


@dataclass(frozen=True, slots=True)
class _Source:
    """A module: what each of its names is bound to at its top level.

    Attributes:
        definitions: name -> the statement that defines it. notes: the string below an assignment, if any.
        imports: name -> the module and the name there; None for a module itself.
    """

    name: str
    lines: Sequence[bytes]
    definitions: Mapping[str, ast.stmt]
    notes: Mapping[str, ast.stmt]
    imports: Mapping[str, tuple[str, str | None]]


@dataclass(slots=True)
class _Bundle:
    provided: Mapping[str, str]
    parts: list[tuple[str, str]] = field(default_factory=list)
    origin: dict[str, tuple[str, str]] = field(default_factory=dict)
    imports: set[tuple[str, str | None, str]] = field(default_factory=set)


def bundle(names: Sequence[tuple[str, str]], provided: Mapping[str, str] | None = None) -> str:
    """Python source that defines the given names and all that they use.

    Args:
        names: pairs of a module of this program and a name in it.
        provided: modules of this program -> modules of the result's surroundings to import the same from.
    """
    result = _Bundle(provided or {})
    for module, name in names:
        _collect(result, module, name)
    texts, last = [], ""
    for module, text in result.parts:
        heading = f"# From {module.replace('.', '/')}.py of mseg-search.\n\n\n" if module != last else ""
        texts.append(heading + text)
        last = module
    return "\n".join(_import_lines(result.imports)) + "\n\n\n" + "\n\n\n".join(texts) + "\n"


def _collect(result: _Bundle, module: str, name: str) -> None:
    """Adds what `name` of `module` uses, and then itself."""
    source = _read(module)
    if name in source.imports:
        origin, original = source.imports[name]
        if origin in result.provided:
            result.imports.add((result.provided[origin], original, name))
        elif origin.partition(".")[0] != OURS:
            result.imports.add((origin, original, name))
        elif original is None or original != name:
            raise BundleError(f"{module} uses {name} of {origin} under another name, or the whole module")
        else:
            _collect(result, origin, original)
        return
    if name not in source.definitions:
        return  # a local name, or Python's own
    statement = source.definitions[name]
    text = _text(source, statement)
    if name in result.origin:
        if result.origin[name] not in ((module, text), (result.origin[name][0], text)):
            raise BundleError(f"{module} and {result.origin[name][0]} both have a {name}")
        return
    result.origin[name] = (module, text)
    for used in _used(statement):
        if used != name:
            _collect(result, module, used)
    note = source.notes.get(name)
    result.parts.append((module, text + (f"\n{_text(source, note)}" if note else "")))


@cache
def _read(module: str) -> _Source:
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        raise BundleError(f"{module} has no source")
    content = Path(found.origin).read_bytes()
    definitions: dict[str, ast.stmt] = {}
    notes: dict[str, ast.stmt] = {}
    imports: dict[str, tuple[str, str | None]] = {}
    last: list[str] = []
    for statement in ast.parse(content).body:
        if isinstance(statement, ast.Import):
            imports |= {alias.asname or alias.name: (alias.name, None) for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom):
            origin = statement.module or ""
            imports |= {alias.asname or alias.name: (origin, alias.name) for alias in statement.names}
        elif isinstance(statement, ast.Expr) and last:
            notes |= dict.fromkeys(last, statement)
        last = list(_defined(statement))
        definitions |= dict.fromkeys(last, statement)
    return _Source(module, content.splitlines(), definitions, notes, imports)


def _defined(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for target in targets:
            yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name))


def _used(node: ast.AST) -> list[str]:
    """The names in `node` in the order of the text, without what only describes an option."""
    if isinstance(node, ast.Name):
        return [node.id]
    if (kind := _annotated(node)) is not None:
        return _used(kind)
    names: list[str] = []
    for child in ast.iter_child_nodes(node):
        names += (name for name in _used(child) if name not in names)
    return names


def _annotated(node: ast.AST) -> ast.expr | None:
    """`int` of `Annotated[int, ...]`; None for anything else."""
    if (
        isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and node.value.id == "Annotated"
    ):
        return node.slice.elts[0] if isinstance(node.slice, ast.Tuple) else None
    return None


def _text(source: _Source, statement: ast.stmt) -> str:
    """A statement as it is written, with the comments above it."""
    decorators = getattr(statement, "decorator_list", [])
    first = min([statement.lineno, *(each.lineno for each in decorators)]) - 1
    end = statement.end_lineno or statement.lineno
    lines = list(source.lines)
    found = [
        (node, kind)
        for node in ast.walk(statement)
        if isinstance(node, ast.Subscript) and (kind := _annotated(node)) is not None
    ]
    for node, kind in sorted(found, key=lambda each: (each[1].lineno, each[1].col_offset), reverse=True):
        end = _replace(lines, node, kind, end)
    while first and lines[first - 1].startswith(b"#"):
        first -= 1
    return b"\n".join(lines[first:end]).decode()


def _replace(lines: list[bytes], node: ast.Subscript, by: ast.expr, end: int) -> int:
    """Puts the text of `by`, which is one line, in the place of `node`; where the statement then ends."""
    text = lines[by.lineno - 1][by.col_offset : by.end_col_offset]
    first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    line = lines[first][: node.col_offset] + text + lines[last][node.end_col_offset :]
    lines[first : last + 1] = [line]
    return end - (last - first)


def imported_packages(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The packages that a module imports, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module.partition(".")[0]


def _import_lines(imports: set[tuple[str, str | None, str]]) -> list[str]:
    """Import statements, one for each module."""
    plain = sorted(
        f"import {module}" + (f" as {name}" if name != module else "")
        for module, original, name in imports
        if original is None
    )
    by_module: dict[str, list[str]] = {}
    for module, original, name in sorted(imports, key=lambda each: (each[0], each[2])):
        if original is not None:
            by_module.setdefault(module, []).append(
                original if original == name else f"{original} as {name}"
            )
    return [*plain, *(f"from {module} import {', '.join(names)}" for module, names in by_module.items())]
