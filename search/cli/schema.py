"""`search schema`: what an editor needs to check and complete our YAML files."""

import json
from typing import Annotated, Literal

import typer


def schema(
    document: Annotated[Literal["space", "dataset"], typer.Argument(help="Which YAML file.")] = "space",
) -> int:
    """Print the JSON Schema of space.yaml or dataset.yaml."""
    from search.schema.document import schema_of

    print(json.dumps(schema_of(document), indent=1))
    return 0
