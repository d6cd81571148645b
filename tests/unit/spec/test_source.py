"""YAML with places: numbers, duplicate keys, anchors, overlays; what cannot be read, in one line."""

import math
from pathlib import Path

import pytest

from search.document import reading
from search.document.node import Node, show
from search.document.reading import parse_yaml
from search.errors import SpaceError
from search.spec.source import merge, override, read_yaml


def parse(text: str) -> Node:
    return parse_yaml(text, lambda mark: f"f:{mark.line + 1}:{mark.column + 1}")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8e-4", 8e-4),
        ("1e-5", 1e-5),
        ("1E5", 1e5),
        ("2.0e-4", 2e-4),
        ("+.5", 0.5),
        ("5.", 5.0),
        ("-3", -3),
        ("010", 10),
        ("1234567890123456789012", 1234567890123456789012.0),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("yes", "yes"),
        ("off", "off"),
        ("tRuE", "tRuE"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("e5", "e5"),
        ("1e", "1e"),
        (".", "."),
        ("'8e-4'", "8e-4"),
        ('"true"', "true"),
        ("''", ""),
    ],
)
def test_scalars_are_read_as_yaml_1_2(text: str, value: object) -> None:
    found = parse(f"a: {text}").plain()["a"]
    assert (found, type(found)) == (value, type(value))


def test_nan_is_read_as_nan() -> None:
    assert math.isnan(parse("a: .NaN").plain()["a"])


def test_a_value_has_its_keys_place_and_a_list_item_its_own() -> None:
    root = parse("a:\n  b: {c: 1}\nd: [2, 3]\n")
    assert root.place == "f:1:1"
    assert root.nearest(["a", "b", "c"]).place == "f:2:7"
    assert root.nearest(["a", "x", "y"]).place == "f:1:1"
    items = root.nearest(["d"]).value
    assert isinstance(items, list)
    assert [item.place for item in items] == ["f:3:5", "f:3:8"]


def test_anchors_aliases_and_merge_keys_are_resolved() -> None:
    root = parse("a: &a {x: 1, y: 2}\nb: *a\nc: {<<: *a, y: 3}\nd: {<<: [{y: 4}, *a], z: 5}\n")
    assert root.plain() == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 2},
        "c": {"x": 1, "y": 3},
        "d": {"x": 1, "y": 4, "z": 5},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "f:3:1: 'a' is given twice (first at f:1:1); keep one"),
        ("a: {b: 1, b: 1}", "f:1:11: 'b' is given twice (first at f:1:5); keep one"),
        (
            "a:\n\t- 1",
            "f:2:1: not YAML: while scanning for the next token, found character '\\t' that cannot",
        ),
        ("a: b: c", "f:1:5: not YAML: mapping values are not allowed here; begin a new line, or quote"),
        ("a: [1, 2", "f:1:9: not YAML: while parsing a flow sequence, expected ',' or ']'"),
        ("a: 'b", "f:1:6: not YAML: while scanning a quoted scalar, found unexpected end of stream"),
        ("a: *b", "f:1:4: not YAML: found undefined alias 'b'"),
        ("a: 1\n---\nb: 2", "f:2:1: not YAML: expected a single document in the stream, but found another"),
        ("a: &a {b: *a}", "f:1:8: the alias contains itself"),
        (
            "a: !!python/object:os.system {}",
            "f:1:1: the tag tag:yaml.org,2002:python/object:os.system is not",
        ),
        ("a: !!float 1", "f:1:1: the tag tag:yaml.org,2002:float is not supported; omit it"),
        ("1: a", "f:1:1: 1 is not a name; quote it if it is meant as one"),
        ("[a, b]: c", "f:1:1: ['a', 'b'] is not a name; quote it if it is meant as one"),
        ("a: {<<: 3}", "f:1:5: '<<' takes in a mapping or a list of mappings"),
        ("a: \x00", "f:1:1: is not a text: character U+0000 at offset 3"),
        ("[" * 1000, "f:1:1: is nested too deeply"),
    ],
)
def test_invalid_yaml_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(SpaceError) as error:
        parse(text)
    assert str(error.value).startswith(message)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("inner", ["[{}]", "{{<<: [{}]}}"])
def test_nested_aliases_are_counted_where_they_stand(inner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bomb of 40 lines would have 10^40 values."""
    bomb = "a0: &a0 {x: 1}\n" + "".join(
        f"a{level}: &a{level} {inner.format(', '.join([f'*a{level - 1}'] * 10))}\n"
        for level in range(1, 40)
    )
    monkeypatch.setattr(reading, "MOST_VALUES", 1000)
    with pytest.raises(SpaceError, match=r"^f:\d:\d+: the document has more than 1000 values; use fewer"):
        parse(bomb)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "f.yaml: is empty; it needs at least objective and space"),
        (b"# nothing\n", "f.yaml: is empty; it needs at least objective and space"),
        (
            b"- a\n- b\n",
            "f.yaml: holds ['a', 'b'], not names and values; it needs at least objective and space",
        ),
        (b"hello", "f.yaml: holds 'hello', not names and values; it needs at least objective and space"),
        (b"\x89PNG\r\n", "f.yaml: is not a text in UTF-8 (byte 0)"),
        (
            b"a: b: c",
            "f.yaml:1:5: not YAML: mapping values are not allowed here; begin a new line, or quote a text",
        ),
    ],
)
def test_a_file_that_is_no_document_is_refused(
    content: bytes, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f.yaml").write_bytes(content)
    with pytest.raises(SpaceError) as error:
        read_yaml(Path("f.yaml"))
    assert str(error.value).startswith(message)
    assert len(str(error.value).splitlines()) == 1


def test_an_unreadable_file_is_refused_with_the_reason(tmp_path: Path) -> None:
    for path, reason in [
        (tmp_path / "none.yaml", "no such file"),
        (tmp_path, "is a folder; name the file in it"),
        (tmp_path / "f" / "x", "cannot be read: Not a directory"),
        (tmp_path / ("x" * 300), "cannot be read: File name too long"),  # the name is cut
        (Path("/dev/zero"), "has more than 1,000,000 bytes; name a YAML document"),
    ]:
        (tmp_path / "f").touch()
        with pytest.raises(SpaceError) as error:
            read_yaml(path)
        assert str(error.value) == f"{str(path)[:200]}: {reason}"


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_yaml(tmp_path / "f.yaml").plain() == {"a": 1}


# Overlays ---------------------------------------------------------------------------------------------


def test_sections_are_merged_and_parameters_replaced() -> None:
    old = parse("a: {x: 1, y: 2}\np: {low: 1, high: 2, log: true}\n")
    new = parse("a: {y: 3, z: 4}\np: {low: 0, high: 9}\nq: 5\n")
    both = merge(old, new)
    assert both.plain() == {"a": {"x": 1, "y": 3, "z": 4}, "p": {"low": 0, "high": 9}, "q": 5}
    assert both.nearest(["a", "x"]).place == "f:1:5"
    assert both.nearest(["q"]).place == "f:3:1"


def test_a_new_kind_of_pruner_takes_no_option_of_the_old_one() -> None:
    study = parse(
        "study: {sampler: {kind: tpe, seed: 7, group: true}, pruner: {kind: median, control: 0.1}}"
    )
    other = override(override(study, "study.sampler.kind=random"), "study.pruner.kind=none")
    assert other.plain() == {
        "study": {"sampler": {"kind": "random", "seed": 7}, "pruner": {"kind": "none"}}
    }
    same = override(study, "study.pruner={kind: median, margin: 0.01}")
    assert same.plain()["study"]["pruner"] == {"kind": "median", "control": 0.1, "margin": 0.01}


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("data.image_size=96", ["space", "data", "image_size"], 96),
        ("data.image_size = 8e-4", ["space", "data", "image_size"], 8e-4),
        ("model.dropout=0.1", ["space", "model", "dropout"], 0.1),
        ("model.dropout.high=0.5", ["space", "model", "dropout"], {"low": 0.0, "high": 0.5}),
        ("model.dropout={low: 0.1, high: 1e-0}", ["space", "model", "dropout"], {"low": 0.1, "high": 1.0}),
        ("model={width: 3}", ["space", "model"], {"dropout": {"low": 0.0, "high": 0.3}, "width": 3}),
        ("new.section.name='a=b'", ["space", "new", "section", "name"], "a=b"),
        ("study.smooth=3", ["study", "smooth"], 3),
        ("objective=my_module", ["objective"], "my_module"),
        ("report.stages=[5, 30, 90, 120]", ["report", "stages"], [5, 30, 90, 120]),
        ("data.limit=null", ["space", "data", "limit"], None),
    ],
)
def test_an_override_sets_one_name(text: str, path: list[str], value: object) -> None:
    root = parse(
        "objective: toy\nspace: {data: {image_size: 512}, model: {dropout: {low: 0.0, high: 0.3}}}\n"
    )
    changed = override(root, text).nearest(path)
    assert changed.plain() == value
    assert root.plain()["space"] == {
        "data": {"image_size": 512},
        "model": {"dropout": {"low": 0.0, "high": 0.3}},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trainer", "--set 'trainer': is not NAME=VALUE, as in data.image_size=96"),
        ("=3", "--set '=3': is not NAME=VALUE, as in data.image_size=96"),
        ("x=", "--set x: has no value; null says that none is meant"),
        ("x={", "--set x: not YAML: while parsing a flow node, expected the node content, but found"),
        ("x={low: 0, low: 1}", "--set x: 'low' is given twice; keep one"),
        ("a b=3", "--set a b: 'a b' is not a name: use letters, digits, _ and -"),
        ("a..b=3", "--set a..b: '' is not a name: use letters, digits, _ and -"),
        ("model=3", "--set model: 3 cannot replace a section; set model.dropout or model.kind"),
        (
            "model={low: 0, high: 1}",
            "--set model: a parameter cannot replace a section; set model.dropout or",
        ),
        ("model.kind={a: 1}", "--set model.kind: a section cannot replace 'm'"),
        ("model.kind.a=1", "--set model.kind.a: model.kind is 'm', not a section that could hold a"),
        ("model.dropout={a: 1}", "--set model.dropout: a section cannot replace a parameter"),
        (
            "space.model.kind=x",
            "--set space.model.kind: names are relative to space, except study., report. and objective;",
        ),
        (
            "known=[]",
            "--set known: names are relative to space, except study., report. and objective; edit the file",
        ),
        ("study=3", "--set study: 3 cannot replace a section; set study.pruner"),
        ("study.pruner=none", "--set study.pruner: 'none' cannot replace a section; set study.pruner.kind"),
    ],
)
def test_a_wrong_override_is_refused(text: str, message: str) -> None:
    root = parse(
        "objective: toy\nstudy: {pruner: {kind: median}}\n"
        "space: {model: {dropout: {low: 0.0, high: 0.3}, kind: m}}\n"
    )
    with pytest.raises(SpaceError) as error:
        override(root, text)
    assert str(error.value).startswith(message)
    assert len(str(error.value).splitlines()) == 1


def test_values_are_shown_as_yaml_on_one_line() -> None:
    assert [show(value) for value in (None, True, 1e-05, "a\nb", [1, None], {})] == [
        "null",
        "true",
        "1e-05",
        "'a\\nb'",
        "[1, null]",
        "a section",
    ]
    assert show("x" * 100) == f"'{'x' * 56}..."
