"""Makes a site of the documents: pages of files above docs/, links to folders and out of it as plain text.

A link whose text is a file's name gets the name that the page has in the menu.
"""

import posixpath
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Documents at the top of the checkout, and the pages that they become."""
SOURCES = {page: source for source, page in PAGES.items()}
LINK = re.compile(r"(!?)\[([^]]*)\]\((?!https?:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for source, page in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    return LINK.sub(partial(_link, page.file.src_uri, dict(_menu(config.nav))), markdown)


def _menu(nav: Any) -> Iterator[tuple[str, str]]:
    """Each page and its name in the menu."""
    for entry in nav:
        for name, content in entry.items():
            yield from [(content, name)] if isinstance(content, str) else _menu(content)


def _link(page: str, menu: dict[str, str], found: re.Match[str]) -> str:
    """A link of a page, as the site has it."""
    mark, text, path, anchor = found[1], found[2], found[3], found[4] or ""
    source = SOURCES.get(page, f"docs/{page}")
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    if target not in PAGES and (not target.startswith("docs/") or (ROOT / target).is_dir()):
        return text if (ROOT / target).exists() else found[0]
    named = text in (target, path)
    target = PAGES.get(target, target.removeprefix("docs/"))
    text = menu[target] if named and target in menu else text
    return f"{mark}[{text}]({posixpath.relpath(target, posixpath.dirname(page) or '.')}{anchor})"
