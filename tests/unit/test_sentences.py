"""Every sentence about results that this program can print is listed with the test of what it says.

The list is `tests/data/sentences.yaml`: tests, and below each the sentences that it is the test of, by
their first words. A sentence that is added or begins otherwise has to be listed, with a test that fails
where it would be printed wrongly; one that is gone has to go there, too.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
LISTED: dict[str, list[str]] = yaml.safe_load((ROOT / "tests" / "data" / "sentences.yaml").read_text())
NO_CLAIM = "labels"
"""The part of the list without a test: titles, captions, heads of columns, commands."""

BLOCKS = {"Paragraph", "Bullets", "Headline", "prose"}
"""What turns a text into one that is read: who imports one of them from `search.render` says something."""


def test_every_sentence_about_results_is_listed_with_its_test() -> None:
    openings = sorted((each for listed in LISTED.values() for each in listed), key=len, reverse=True)
    assert len(openings) == len(set(openings)), "a sentence is listed twice"
    meant: dict[str, set[str]] = {opening: set() for opening in openings}
    new = []
    for where, sentence in written_sentences():
        opening = next(filter(sentence.startswith, openings), None)  # the longest that fits
        if opening is None:
            new.append(f"{where}: {sentence}")
        else:
            meant[opening].add(sentence)
    assert not new, f"list these in tests/data/sentences.yaml, each below its test: {new}"
    gone = [opening for opening, sentences in meant.items() if not sentences]
    assert not gone, f"nothing in search/ says this any more: {gone}"
    shared = [opening for opening, sentences in meant.items() if len(sentences) > 1]
    assert not shared, f"several sentences begin like this, so list more of each: {shared}"


def test_every_test_of_a_sentence_exists() -> None:
    for test in LISTED.keys() - {NO_CLAIM}:
        path, _, name = test.partition("::")
        assert re.search(rf"^def {name}\(", (ROOT / path).read_text(), re.MULTILINE), test


def test_the_reader_of_sentences_reads() -> None:
    source = """
        def f(x):
            "This docstring is no sentence about results."
            yield Paragraph("Two words.")
            if x:
                raise UserError("what a user did wrong is no result")
            yield f"It is {'not settled yet, whatever that is' if x else x} and "
            say("progress is on its way to stderr")
            yield "a short label"
    """
    assert list(sentences(ast.parse(source.replace("\n        ", "\n")))) == [
        "Two words.",
        "It is {} and",
        "not settled yet, whatever that is",
    ]


def written_sentences() -> Iterator[tuple[str, str]]:
    """File and sentence, of all files that say something about results."""
    rooms = [ROOT / "search" / room for room in ("analysis", "report")]
    for path in sorted((ROOT / "search").rglob("*.py")):
        tree = ast.parse(path.read_text())
        if any(room in path.parents for room in rooms) or (path.parent.name != "render" and speaks(tree)):
            yield from ((str(path.relative_to(ROOT)), sentence) for sentence in sentences(tree))


def speaks(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith("search.render")
        and BLOCKS & {alias.name for alias in node.names}
        for node in tree.body
    )


def sentences(node: ast.AST) -> Iterator[str]:
    """Texts of four words or more, or with a full stop; `{}` stands for what is filled in.

    Docstrings are none, nor is what is raised or said on stderr.
    """
    for child in ast.iter_child_nodes(node):
        docstring = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
        to_stderr = isinstance(child, ast.Call) and getattr(child.func, "id", "") == "say"
        if docstring or to_stderr or isinstance(child, ast.Raise):
            continue
        text = text_of(child)
        if text is not None and (text.count(" ") >= 3 or (text.count(" ") and text.endswith("."))):
            yield text
        parts = child.values if isinstance(child, ast.JoinedStr) else [child] if text is None else []
        for part in parts:
            yield from sentences(part)


def text_of(node: ast.AST) -> str | None:
    """A literal or f-string on one line, with `{}` for what is filled in; None for anything else."""
    if isinstance(node, ast.JoinedStr):
        parts = (str(each.value) if isinstance(each, ast.Constant) else "{}" for each in node.values)
        return " ".join("".join(parts).split())
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return " ".join(node.value.split())
    return None
