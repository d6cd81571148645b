"""Tables and lists on a narrow terminal."""

from io import StringIO

from rich.console import Console

from search.render.document import Bullets, Table
from search.render.terminal import RichBlocks

RACE = Table(
    head=("config", "mean", "95 % interval", "difference", "verdict"),
    rows=(
        ("trial 24", "0.7771", "0.7745 to 0.7797", "+0.0535", "better after 3"),
        ("trial 1 (a participant's DeepLab, no flips)", "0.7236", "0.7210 to 0.7262", "–", "baseline"),
    ),
)


def drawn(width: int, *blocks: Table | Bullets) -> list[str]:
    console = Console(file=(file := StringIO()), width=width)
    console.print(RichBlocks(blocks))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_a_table_wraps_between_words_as_long_as_they_have_room() -> None:
    wide = drawn(120, RACE)
    assert len(wide) == 3 and wide[1].endswith("better after 3")
    narrow = drawn(64, RACE)
    assert max(map(len, narrow)) <= 64
    words = {word for row in (RACE.head, *RACE.rows) for cell in row for word in str(cell).split()}
    assert {word for line in narrow for word in line.split()} == words
    assert max(map(len, drawn(20, RACE))) <= 20, "words are broken only where there is no other way"


def test_a_bullet_continues_below_its_first_word() -> None:
    assert drawn(24, Bullets(("the first is a long one", "short"))) == [
        "- the first is a long",
        "  one",
        "- short",
    ]
