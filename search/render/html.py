"""A document as one HTML file: pictures inside, no script, readable on a desk and on a phone."""

import base64
from pathlib import Path

from jinja2 import Environment, PackageLoader
from markupsafe import Markup, escape

from search.render.document import Document, Figure, spans


def render(document: Document, folder: Path) -> str:
    """The whole page; pictures are read from below `folder` and embedded."""

    def picture(figure: Figure) -> str:
        return base64.b64encode((folder / figure.path).read_bytes()).decode()

    environment = Environment(
        loader=PackageLoader("search.render", ""), autoescape=True, keep_trailing_newline=True
    )
    environment.filters |= {"inline": _inline, "picture": picture}
    return environment.get_template("page.html").render(document=document)


def _inline(text: str) -> Markup:
    return Markup("").join(
        Markup("<code>{}</code>").format(part)
        if is_code
        else escape(part.replace(" %", "\N{NO-BREAK SPACE}%"))
        for part, is_code in spans(text)
    )
