"""The code in the documents and the commands in messages are those of this version.

Commands in the documents are parsed by test_house.py; the notebook is run by tests/e2e/test_notebook.py.
"""

import ast
import importlib
import inspect
import json
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

import search
from search.cli.app import command_group
from search.mseg import configure
from search.spec.spec import load_spec, stock_space

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
OBJECTS = {
    "search": search,
    "study": search.OpenStudy,
    "running": search.RunningSearch,
    "snapshot": search.Snapshot,
}
"""What the names in the examples of the Python API stand for."""


def python() -> Iterator[tuple[str, str]]:
    """Where it is, and every piece of Python; those of CONTRIBUTING.md are parts of tests."""
    for path in DOCUMENTS:
        if path.name != "CONTRIBUTING.md":
            for block in re.findall(r"^```python\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL):
                yield path.name, block
    notebook = json.loads((ROOT / "docs" / "example" / "python.ipynb").read_text())
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            yield "python.ipynb", "".join(line for line in cell["source"] if not line.startswith("%"))
    for span in re.findall(
        r"`((?:search|study|running|snapshot)\.[^`/]+)`", (ROOT / "docs" / "python.md").read_text()
    ):
        yield "python.md", span


def test_the_python_in_the_documents_finds_what_it_names() -> None:
    pieces = list(python())
    assert len(pieces) >= 30
    for place, text in pieces:
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module or "")
                for alias in node.names:
                    assert hasattr(module, alias.name) or find_spec(f"{node.module}.{alias.name}"), place
            elif isinstance(node, ast.Import):
                assert all(importlib.import_module(alias.name) for alias in node.names)
            elif isinstance(node, ast.Call):
                if callable(found := named(node.func)):
                    known = inspect.signature(found).parameters
                    assert {keyword.arg for keyword in node.keywords} <= known.keys(), (
                        place,
                        ast.unparse(node),
                    )
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert node.value.id not in OBJECTS or named(node) is not None, (place, ast.unparse(node))


def named(node: ast.AST) -> Any:
    """What `study.report` and the like are; None if this is none of them or does not exist."""
    if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
        return None
    owner = OBJECTS.get(node.value.id)
    found = getattr(owner, node.attr, None)
    if found is None and isinstance(owner, type):  # an attribute that objects get from their arguments
        found = inspect.signature(owner).parameters.get(node.attr)
    return found


def test_the_settings_in_the_documents_are_accepted() -> None:
    documents = "".join(path.read_text() for path in DOCUMENTS)
    found = 0
    for block in re.findall(r"^```yaml\n(.*?)^```", documents, re.MULTILINE | re.DOTALL):
        given = yaml.safe_load(block)
        if given.keys() <= {"space", "study"}:
            settings = [*leaves(given.get("space", {})), *leaves(given.get("study", {}), "study.")]
            overrides = [f"{name}={json.dumps(value)}" for name, value in settings]
            for params in load_spec(stock_space(), overrides=overrides).space.corners():
                if "import" not in block:  # whose module is the reader's
                    configure(params)
            found += 1
    assert found >= 4


def leaves(section: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The settings of a section by dotted name; a parameter is one of them."""
    for name, value in section.items():
        if isinstance(value, dict) and not value.keys() & {"low", "choices"}:
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def test_commands_in_messages_have_the_flags_they_name() -> None:
    commands = command_group().commands
    flags = {
        name: {"--help", "--debug", *(flag for each in command.params for flag in each.opts)}
        for name, command in commands.items()
    }
    found = [
        (path.name, command, flag)
        for path in sorted((ROOT / "search").rglob("*.py"))
        for command, rest in re.findall(
            rf"\bsearch ({'|'.join(commands)})((?: (?:--)?[\w{{}}./=-]+)*)", path.read_text()
        )
        for flag in re.findall(r"(?<= )--[a-z][a-z-]*", rest)
    ]
    assert len(found) >= 40
    assert [each for each in found if each[2] not in flags[each[1]]] == []


@pytest.mark.parametrize("script", sorted({path.name for path in (ROOT / "benchmarks").glob("*.py")}))
def test_benchmarks_have_the_options_that_the_documents_give_them(script: str) -> None:
    source = (ROOT / "benchmarks" / script).read_text()
    for path in [*DOCUMENTS, *(ROOT / "benchmarks").rglob("*.md")]:
        text = path.read_text().replace("\\\n", " ")
        for options in re.findall(rf"python benchmarks/{script}([^`#]*?)(?:[`#]|\n(?!-))", text):
            for option in re.findall(r"(?<=\s)--[a-z-]+", options):
                assert f'"{option}"' in source, f"{path.name}: {script} {option}"


def test_tests_that_the_documents_name_exist() -> None:
    for path in DOCUMENTS:
        for test in re.findall(r"\b(tests/[\w/]+(?:\.\w+)?)", path.read_text()):
            assert (ROOT / test).exists(), f"{path.name}: {test}"


def test_help_fits_a_terminal_and_explains_every_option() -> None:
    for name, command in command_group().commands.items():
        summary = command.help.partition("\n")[0]
        assert len(summary) <= 63 and summary.endswith("."), f"{name}: cut off in the list of commands"
        for each in command.params:
            if each.name != "help" and not getattr(each, "hidden", False):
                assert each.help.endswith((".", "]", "'")), f"{name} {each.name}: not explained"
                assert each.metavar or each.type_descriptor.is_choice or each.is_flag, f"{name} {each.name}"
