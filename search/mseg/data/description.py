"""dataset.yaml: what the values and colours in the masks of a data folder mean.

classes: [road, car, ...]           class 0, what augmentation fills with, first
mirror_pairs: [[4, 5], ...]         classes that change places in a mirror image; [] says that none do
ignore: 255                         the value, or [r, g, b], of pixels without a label
colours: [[128, 64, 128], ...]      of each class: in RGB masks, and in pictures
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self
from unicodedata import normalize

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from search.document.node import Node, show
from search.document.reading import read_document
from search.errors import DataError, SpaceError, unknown_name
from search.mseg.data.celebamask import CLASSES, MIRROR_PAIRS
from search.mseg.data.labels import MOST_CLASSES, Colour, Labels

Number = Annotated[int, Strict()]

NAMES = ("dataset.yaml", "dataset.yml")
"""Of the file, in lower case."""

MOST_VALUE = 65535
"""The largest value in a mask of 16 bits."""


def _is_within(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def _colour(value: Any) -> Any:
    sequence = isinstance(value, list | tuple)
    if not sequence or len(value) != 3 or not all(_is_within(part, 255) for part in value):
        raise ValueError(f"{show(value)} is no colour; write [red, green, blue], 0 to 255 each")
    return tuple(value)


def _value_or_colour(value: Any) -> Any:
    if value is None or _is_within(value, MOST_VALUE):
        return value
    if not isinstance(value, list | tuple):
        raise ValueError(
            f"{show(value)} is neither a value, 0 to {MOST_VALUE}, nor a colour, [red, green, blue]"
        )
    return _colour(value)


def _whole(most: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": 0, "maximum": most}


def _list_of(length: int, items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": length, "maxItems": length}


COLOUR = _list_of(3, _whole(255))
PAIR = {**_list_of(2, _whole(MOST_CLASSES - 1)), "uniqueItems": True}
"""As JSON Schema."""


class DatasetDescription(BaseModel):
    """What dataset.yaml holds; None where it is silent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    classes: tuple[str, ...] = Field(
        min_length=2,
        max_length=MOST_CLASSES,
        description="names of the classes from class 0, what augmentation fills with",
        json_schema_extra={"uniqueItems": True},
    )
    mirror_pairs: tuple[Annotated[tuple[Number, Number], WithJsonSchema(PAIR)], ...] | None = Field(
        None, description="pairs of classes that change places in a mirror image; [] says that none do"
    )
    ignore: Annotated[
        int | Colour | None,
        BeforeValidator(_value_or_colour),
        WithJsonSchema({"anyOf": [_whole(MOST_VALUE), COLOUR, {"type": "null"}]}),
    ] = Field(None, description="value, 0 to 65535, or colour, [r, g, b], of pixels without a label")
    colours: tuple[Annotated[Colour, BeforeValidator(_colour), WithJsonSchema(COLOUR)], ...] | None = Field(
        None, description="colour of each class, [r, g, b], 0 to 255 each: in RGB masks, and in pictures"
    )

    @property
    def labels(self) -> Labels:
        return Labels(len(self.classes), self.ignore, self.colours or ())

    @model_validator(mode="after")
    def _pairs_are_of_classes(self) -> Self:
        count = len(self.classes)
        names = [normalize("NFC", name) for name in self.classes]  # two forms of an accent look alike
        for index, name in enumerate(names):
            if not name.strip() or not name.isprintable():
                raise ValueError(f"classes has {name!r} for class {index}; write a line of text")
            if name in names[:index]:
                raise ValueError(f"classes has {name!r} twice; rename one")
        paired = [number for pair in self.mirror_pairs or () for number in pair]
        if self.ignore in paired:
            raise ValueError(f"mirror_pairs has {self.ignore}, which is ignored; remove the pair")
        for index, number in enumerate(paired):
            if not 0 <= number < count:
                raise ValueError(f"mirror_pairs has {number}, and the classes are 0 to {count - 1}")
            if number in paired[:index]:
                raise ValueError(f"mirror_pairs has class {number} twice; remove one")
        return self

    @model_validator(mode="after")
    def _no_two_have_one_colour(self) -> Self:
        colours, ignore, count = self.colours, self.ignore, len(self.classes)
        if colours is not None and len(colours) != count:
            raise ValueError(f"colours has {len(colours)} for {count} classes; list one for each")
        for index, colour in enumerate(colours or ()):
            first = (colours or ()).index(colour)
            if first < index:
                names = f"{self.classes[first]!r} and {self.classes[index]!r}"
                raise ValueError(f"colours has {list(colour)} for both {names}; change one")
            if colour == ignore:
                raise ValueError(
                    f"ignore is {list(colour)}, the colour of {self.classes[index]!r}; change one"
                )
        if isinstance(ignore, int) and ignore < count:
            raise ValueError(f"ignore is {ignore}, which is {self.classes[ignore]!r}; use {count} or more")
        if isinstance(ignore, tuple) and not colours:
            raise ValueError(f"ignore is the colour {list(ignore)}, but there are no `colours`; list them")
        return self


WRITTEN = {
    "classes": f"list the names of the classes, 2 to {MOST_CLASSES}, as in classes: [background, face]",
    "mirror_pairs": "list pairs of class numbers, as in mirror_pairs: [[4, 5], [6, 7]]",
    "ignore": "give a value or a colour, as in ignore: 255",
    "colours": "list a colour for each class, as in colours: [[0, 0, 0], [255, 0, 0]]",
}
"""How each entry is written."""

ASSUMED = DatasetDescription(classes=CLASSES, mirror_pairs=MIRROR_PAIRS)
"""Of a folder without dataset.yaml."""


def described_in(root: Path) -> Path | None:
    """The dataset.yaml of a folder, in either spelling of its suffix and in any case."""
    files = sorted(path for path in root.iterdir() if path.name.lower() in NAMES)
    if len(files) > 1:
        names = " and ".join(path.name for path in files)
        raise DataError(f"{root}: holds {names}; keep one of them")
    return files[0] if files else None


def read_description(path: Path) -> DatasetDescription:
    """What the file says; DataError with the place of what is wrong."""
    try:
        document = read_document(path, numbered=True)
        return DatasetDescription.model_validate(document.plain())
    except SpaceError as error:
        raise DataError(str(error)) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        names = document.entries().get("names")
        if names is not None and first["loc"] == ("classes",) and first["type"] == "missing":
            raise DataError(f"{names.place}: {_other_names(names)}") from error
        what = _sentence({**first})
        # What is wrong between settings begins with the name of one.
        place = _place(document, first["loc"] or (what.split()[0],))
        raise DataError(f"{place}: {what}") from error


def _other_names(names: Node) -> str:
    """What to write in place of YOLO's `names`, a list or a mapping by number."""
    plain = names.plain()
    found = list(plain.values()) if isinstance(plain, dict) else plain
    classes = show(found) if isinstance(found, list) else "[background, face]"
    return (
        f"names: is another program's word; write classes: {classes}, beginning with the class that has "
        "the value 0 in the masks"
    )


def _sentence(error: Mapping[str, Any]) -> str:
    """What pydantic found, with the value and the remedy."""
    path, value, text = error["loc"], error["input"], error["msg"].removeprefix("Value error, ")
    where = ".".join(map(str, path))
    if error["type"] == "extra_forbidden":
        return unknown_name("top level", where, WRITTEN)
    if error["type"] == "missing":
        return f"has no classes; {WRITTEN['classes']}"
    if not path:
        return text if error["type"] == "value_error" else f"holds {show(value)}; {WRITTEN['classes']}"
    if error["type"] == "value_error":
        return f"{where}: {text}"
    should = (
        text.removeprefix("Input ")
        .removeprefix("Tuple ")
        .replace("tuple", "list")
        .replace(" after validation", "")
    )
    return f"{where}: {show(value)} {should}; {WRITTEN[str(path[0])]}"


def _place(node: Node, path: Sequence[str | int]) -> str:
    """Where the value at `path` was written, or the last one on the way to it."""
    if path and isinstance(node.value, dict) and path[0] in node.value:
        return _place(node.value[str(path[0])], path[1:])
    if path and isinstance(node.value, list) and isinstance(path[0], int) and path[0] < len(node.value):
        return _place(node.value[path[0]], path[1:])
    return node.place
