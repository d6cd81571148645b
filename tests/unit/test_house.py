"""The rules of the house: who may import whom, how long a file may be, that words and registries agree.

Imports are read, not run: what is imported inside a function counts like the rest.
"""

import ast
import json
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from service import DOCUMENT

from search.cli.app import command_group
from search.pruners.pruner import Pruner
from search.pruners.registry import PRUNERS, build_pruner
from search.samplers.registry import SAMPLERS, build_sampler
from search.schema.document import schema_of
from search.spec.spec import Spec, load_spec, stock_space

ROOT = Path(__file__).parents[2]
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("search", "storage")
    for path in sorted((ROOT / package).rglob("*.py"))
}
"""Every file of the two packages by the name it is imported under."""

STANDARD = sys.stdlib_module_names


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imports(module: str) -> frozenset[str]:
    """What a module imports: modules of ours by their full name, others by their package."""
    found = set()
    for node in ast.walk(parsed(FILES[module])):
        if isinstance(node, ast.Import):
            found |= {known(alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import"
            found |= {known(f"{node.module}.{alias.name}") for alias in node.names}
    return frozenset(found - {module})


def known(name: str) -> str:
    """`search.records.Record` -> `search.records`; `torch.nn` -> `torch`."""
    if name.split(".")[0] not in ("search", "storage"):
        return name.split(".")[0]
    while name not in FILES:
        name = name.rpartition(".")[0]
    return name


def below(package: str) -> Iterator[str]:
    return (module for module in FILES if module == package or module.startswith(f"{package}."))


def ours(modules: frozenset[str]) -> set[str]:
    return {module for module in modules if module.split(".")[0] in ("search", "storage")}


def others(modules: frozenset[str]) -> frozenset[str]:
    return modules - ours(modules) - STANDARD


# -- who imports whom ------------------------------------------------------------------------------


def test_the_reader_of_imports_reads() -> None:
    assert {"search.study.study", "storage.leases", "logging"} <= imports("search.worker.worker")
    assert "optuna" in imports("search.samplers.ask")
    assert "search.ui.best" in imports("search.cli.best"), "imports inside functions count"


ROOMS = [
    {"errors", "scoring"},
    {"objective"},
    {"loading", "document"},
    {"mseg", "spec"},
    {"storage"},
    {"records", "recorded_run"},
    {"formatting"},
    {"render"},
    {"study"},
    {"analysis"},
    {"imports"},
    {"samplers", "pruners"},
    {"schema"},
    {"retraining"},
    {"runtime"},
    {"worker"},
    {"training"},
    {"results"},
    {"report"},
    {"mirrors"},
    {"ui"},
    {"launcher"},
    {"api"},
    {"cli"},
    {"__main__"},
]
"""Every file and folder of `search`, and `storage`, from the ground up: a room imports from rooms above it
in this list and from itself, never from one beside it or below it. There is no exemption."""

FLOOR = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}


def room(module: str) -> str:
    """`search.spec.space` is in the room `spec`, `storage.leases` in `storage`."""
    package, _, rest = module.partition(".")
    return package if package == "storage" else rest.partition(".")[0]


def test_every_file_has_a_room() -> None:
    assert {room(module) for module in FILES if module != "search"} == FLOOR.keys()
    beside_the_folders = [path for path in (ROOT / "search").glob("*.py") if path.name != "__init__.py"]
    assert len(beside_the_folders) <= 8


def test_imports_go_downwards_only() -> None:
    upwards = [
        f"{module} imports {other}"
        for module in FILES
        if module != "search"  # the package itself, which offers what the next test lists
        for other in ours(imports(module))
        if room(other) != room(module) and FLOOR[room(other)] >= FLOOR[room(module)]
    ]
    assert upwards == []


def test_the_package_offers_the_api_and_imports_nothing_else() -> None:
    assert {room(other) for other in ours(imports("search"))} == {"api", "errors", "records"}


def test_storage_stands_alone() -> None:
    for module in below("storage"):
        assert all(name.startswith("storage") for name in ours(imports(module))), module
        assert others(imports(module)) <= {"sqlalchemy", "optuna", "alembic", "filelock"}, module


def test_the_objective_knows_neither_optuna_nor_sql() -> None:
    allowed = {
        "torch",
        "kornia",
        "numpy",
        "pydantic",
        "PIL",
        "safetensors",
        "yaml",
        "filelock",
        "onnxruntime",
    }
    for module in below("search.mseg"):
        assert others(imports(module)) <= allowed, module
        outside = {name for name in ours(imports(module)) if room(name) != "mseg"}
        assert {room(name) for name in outside} <= {
            "objective",
            "errors",
            "scoring",
            "document",
            "loading",
        }, module


def test_only_the_name_of_the_stock_objective_leads_to_it() -> None:
    """Whatever else is named by `objective:` gets the same from every command."""
    outside = {module for module in FILES if room(module) != "mseg"}
    assert [each for each in outside if "mseg" in {room(name) for name in ours(imports(each))}] == []


def test_what_is_shown_is_a_function_of_records() -> None:
    for module in (*below("search.ui"), *below("search.render"), *below("search.analysis")):
        assert not others(imports(module)) & {"torch", "sqlalchemy", "optuna_dashboard"}, module
        assert "storage" not in {room(name) for name in ours(imports(module))} or module in READS, module


READS = {"search.analysis.importance"}  # builds Optuna's trials of records


def test_the_supervisor_spawns_workers_and_imports_none() -> None:
    seen: set[str] = set()
    waiting = {"search.launcher.supervisor"}
    while waiting:
        module = waiting.pop()
        seen.add(module)
        waiting |= ours(imports(module)) & FILES.keys() - seen
    assert not {"search.worker.worker", "search.samplers.ask"} & seen
    assert "mseg" not in {room(module) for module in seen}


def test_what_describes_a_search_needs_no_optuna() -> None:
    for module in (*below("search.spec"), "search.objective", "search.errors", "search.records"):
        assert others(imports(module)) <= {"yaml"}, module


def test_no_imports_go_in_a_circle() -> None:
    graph = {module: ours(imports(module)) & FILES.keys() for module in FILES}
    while graph:
        free = {module for module, needs in graph.items() if not needs & graph.keys()}
        assert free, f"a circle among {sorted(graph)}"
        graph = {module: needs for module, needs in graph.items() if module not in free}


LIGHT = [
    [
        ("search", ["search.errors", "torch", "optuna", "matplotlib", "pandas", "sqlalchemy", "pydantic"]),
        ("search.mseg", ["torch", "numpy", "pydantic", "PIL"]),
        ("search.cli.app", ["torch", "optuna", "sqlalchemy", "rich.live"]),
        ("search.ui.trials", ["torch", "optuna", "sqlalchemy"]),
        ("search.analysis.comparison", ["torch", "optuna", "sqlalchemy", "scipy"]),
        ("search.report.writer", ["torch", "optuna", "sqlalchemy", "matplotlib.pyplot"]),
        ("search.mseg.gallery", ["torch"]),
    ],
    [
        ("search.api.study", ["torch", "optuna", "matplotlib", "pandas", "numpy", "rich"]),
        ("search.study.read", ["torch", "optuna", "numpy"]),
        ("search.worker.worker", ["torch", "kornia", "scipy.stats", "matplotlib"]),
        ("search.launcher.start", ["torch", "kornia", "scipy.stats"]),
        ("search.api.running", ["torch", "kornia", "matplotlib.pyplot", "pandas"]),
    ],
]
"""Modules that one process imports after each other, and what is not loaded by then."""


@pytest.mark.parametrize("modules", LIGHT, ids=["without SQL", "with SQL"])
def test_light_modules_load_nothing_heavy(modules: list[tuple[str, list[str]]]) -> None:
    code = (
        "import sys, importlib\n"
        f"for module, absent in {modules}:\n"
        "    importlib.import_module(module)\n"
        "    print(*[(module, name) for name in absent if name in sys.modules], end='')"
    )
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (loaded.stdout, loaded.stderr) == ("", "")


# -- files -----------------------------------------------------------------------------------------


def test_files_are_short_and_say_what_they_are() -> None:
    assert [module for module, path in FILES.items() if len(path.read_text().splitlines()) > 300] == []
    for module, path in FILES.items():
        assert ast.get_docstring(parsed(path)), module
        assert path.name not in ("utils.py", "helpers.py", "common.py", "misc.py"), module


def test_a_class_name_is_given_once() -> None:
    names = Counter(
        node.name
        for path in FILES.values()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ClassDef)
    )
    assert {name for name, count in names.items() if count > 1} == set()


def test_public_functions_and_classes_have_docstrings() -> None:
    without = [
        f"{module}.{node.name}"
        for module, path in FILES.items()
        if not module.startswith("storage.migrations.")
        for node in parsed(path).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
        if not ast.get_docstring(node)
    ]
    assert without == []


def test_nothing_is_left_to_be_done() -> None:
    for module, path in FILES.items():
        tree = parsed(path)
        assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", path.read_text()), module
        for node in ast.walk(tree):
            assert not (isinstance(node, ast.ExceptHandler) and node.type is None), (
                f"{module}: a bare except"
            )
            assert not isinstance(node, ast.Assert), f"{module}:{getattr(node, 'lineno', 0)}: an assert"


# -- tests -----------------------------------------------------------------------------------------

TESTS = ROOT / "tests"
SERVICES = {"search", "search_on_each", "search_on_postgres", "command", "url", "postgres_url", "postgres"}
"""Fixtures that start a process or a server, or create a database."""


def test_test_modules_import_no_test_modules() -> None:
    for path in TESTS.rglob("*.py"):
        found = re.search(
            r"^\s*(?:from|import) (?:tests\.|conftest\b|test_).*", path.read_text(), re.MULTILINE
        )
        assert not found, f"{path}: {found}"


def test_unit_tests_need_no_database_and_no_process() -> None:
    for path in (TESTS / "unit").rglob("test_*.py"):
        if path == Path(__file__):  # this one looks at what a fresh process loads
            continue
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                given = {argument.arg for argument in node.args.args}
                decorators = " ".join(map(ast.unparse, node.decorator_list))
                fixtures = {name for name in given & SERVICES if not re.search(rf"\b{name}\b", decorators)}
                assert not fixtures, f"{path}: {node.name}"
            names = {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
            assert not names & {"subprocess", "multiprocessing"}, path


# -- words -----------------------------------------------------------------------------------------


def test_the_words_of_the_glossary_are_used() -> None:
    terms = re.findall(r"^\| \*\*(.+?)\*\*", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)
    assert len(terms) >= 20 and terms == sorted(terms, key=str.lower)
    documents = [path for path in (ROOT / "docs").glob("*.md") if path.name != "glossary.md"]
    texts = [path.read_text().lower() for path in (*FILES.values(), *documents)]
    sources = " ".join(re.sub(r"[\W_]+", " ", text) for text in texts)
    assert [term for term in terms if re.sub(r"[\W_]+", " ", term.lower()) not in sources] == []


def spec_with(tmp_path: Path, *overrides: str) -> Spec:
    path = tmp_path / "space.yaml"
    path.write_text(DOCUMENT)
    return load_spec(path, overrides=overrides)


@pytest.mark.parametrize("kind", SAMPLERS)
def test_samplers_are_accepted(tmp_path: Path, kind: str) -> None:
    spec = spec_with(tmp_path, f"study.sampler={{kind: {kind}}}")
    assert build_sampler(spec, slot=3) is not None


@pytest.mark.parametrize("kind", PRUNERS)
def test_pruners_are_accepted(tmp_path: Path, kind: str) -> None:
    needed = ", percentile: 25.0" if kind == "percentile" else ""
    spec = spec_with(tmp_path, f"study.pruner={{kind: {kind}{needed}}}")
    assert isinstance(build_pruner(spec), Pruner)


REGISTRIES = [
    ("data.source", "data.sources", "SOURCES"),
    ("model.kind", "models.registry", "MODELS"),
    ("optimizer.kind", "optimizers", "OPTIMIZERS"),
    ("schedule.kind", "schedulers", "SCHEDULES"),
]


@pytest.mark.parametrize(("name", "module", "registry"), REGISTRIES)
def test_kinds_of_the_objective_are_accepted(name: str, module: str, registry: str) -> None:
    import importlib

    from search.mseg import configure

    entries = getattr(importlib.import_module(f"search.mseg.{module}"), registry)
    assert entries
    for kind in entries:
        spec = load_spec(stock_space(), overrides=[f"{name}={kind}"])
        for params in spec.space.corners():
            config = configure(params)
        section, field = name.split(".")
        assert getattr(getattr(config, section), field) == kind


NAMES = "|".join(command_group().commands)


def commands() -> Iterator[str]:
    """Every command that a text for users shows: all of those in a block, and whole ones in a line."""
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.sh")]
    for path in [ROOT / "space.yaml", *documents]:
        text = path.read_text().replace("\\\n", " ")
        blocks = re.findall(r"^```.*?$(.*?)^```", text, re.MULTILINE | re.DOTALL)
        if path.suffix == ".sh":
            blocks = [text]
        for block in blocks:
            yield from re.findall(r"^(?:\.venv/bin/)?(search [a-z].*)", block, re.MULTILINE)
            # Inside a container, after another command, or as a container's arguments.
            yield from re.findall(rf"^[^#\n]*[ /](search (?:{NAMES})\b.*)", block, re.MULTILINE)
            for line in re.findall(r"compose run --rm init (.*)|args: \[(.*)\]", block):
                yield f"search {''.join(line).replace(',', ' ')}"
        for line in re.findall(
            r"(?:^[ \t#]*|`|&& )(?:\.venv/bin/)?(search [a-z][^`\n]*)", text, re.MULTILINE
        ):
            if "--study" in line or re.match(r"search (check\b|dashboard\b|compare [^-])", line):
                yield line  # else it is only the name of a command


def test_there_are_commands_to_read() -> None:
    assert len(set(commands())) >= 80


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_commands_in_the_documents_parse(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCH_STUDY", "mseg")  # as some examples have it
    alone = re.split(r"\s(?:#|>|\||&&|;)", line)[0]
    words = shlex.split(re.sub(r"[\[\]]", " ", alone))[1:]
    words = ["1" if word == "N" else word for word in words]
    group = command_group()
    command = group.commands[words[0]]
    with command.make_context(words[0], words[1:]) as context:
        assert context.params


@pytest.mark.parametrize("document", ["space", "dataset"])
def test_the_shipped_schema_is_what_the_command_prints(document: str) -> None:
    schema = schema_of(document)
    path = ROOT / "search" / "schema" / f"{document}.schema.json"
    assert path.read_text() == json.dumps(schema, indent=1) + "\n", (
        f"out of date; run: search schema {document} > {path.relative_to(ROOT)}"
    )


# -- documents -------------------------------------------------------------------------------------

DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_paths_and_links_in_the_documents_exist(document: Path) -> None:
    text = document.read_text()
    missing = missing_paths(text)
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
        target, _, anchor = link.partition("#")
        linked = document.parent / target if target else document
        if not linked.exists() or (anchor and anchor not in anchors(linked.read_text())):
            missing.add(link)
    assert missing == set()


def test_paths_in_docstrings_and_comments_exist() -> None:
    missing = {module: missing_paths(path.read_text()) for module, path in FILES.items()}
    assert {module: paths for module, paths in missing.items() if paths} == {}


def missing_paths(text: str) -> set[str]:
    """The files of this project that a text names and that do not exist."""
    paths = set(re.findall(r"\b(?:search|storage|tests|benchmarks|docs)/[\w/.-]*\w\.(?:py|sh|md)\b", text))
    return {path for path in paths if not (ROOT / path).exists()}


def anchors(markdown: str) -> set[str]:
    """The anchors that GitHub gives the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", markdown, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_examples_in_contributing_are_those_of_the_tests() -> None:
    tests = [path.read_text() for path in sorted(ROOT.glob("tests/integration/*/test_add_one.py"))]
    examples = re.findall(r"```python\n(.*?)\n```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    assert len(examples) == 8
    for example in examples:
        assert any(unindented(example) in unindented(test) for test in tests), example


def unindented(code: str) -> str:
    return "\n".join(line.strip() for line in code.splitlines())


def test_the_map_has_the_rooms_in_their_order() -> None:
    rows = re.findall(r"^\| (`.*?) \|", (ROOT / "docs" / "design.md").read_text(), re.MULTILINE)
    mapped = [set(re.findall(r"`(?:search/)?(\w+)(?:/|\.py)`", row)) for row in rows]
    assert mapped == ROOMS
