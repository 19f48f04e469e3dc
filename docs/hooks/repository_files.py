"""Pages of the site for the repository's files outside docs/ that pages link to, so that every link works offline.

Markdown becomes a page, other text a page with one code block, an image is copied. Their addresses begin with
`repository/`, which is also how mkdocs.yml names them.
"""

from __future__ import annotations

import re
from os.path import relpath
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
LINK = re.compile(r"(?<=\]\()([^)\s#:]+)(?=[)#])")
IMAGES = (".png", ".jpg", ".svg")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the files that the pages link to, and those that these link to."""
    pending = [DOCS / page.src_uri for page in files.documentation_pages()]
    while pending:
        source = pending.pop()
        for path in _targets(source, source.read_text(encoding="utf-8")).values():
            if files.get_file_from_path(_address(path)) is None:
                files.append(_site_file(path, config))
                if path.suffix == ".md":
                    pending.append(path)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Points a page's links to these files."""
    address = PurePosixPath(page.file.src_uri)
    inside = address.parts[0] != "repository"
    source = DOCS / address if inside else ROOT / address.relative_to("repository")
    if source.suffixes[1:] == [".md"]:  # The page of a file that is no Markdown has no links.
        return markdown
    targets = _targets(source, markdown)

    def rewritten(link: re.Match) -> str:
        path = targets.get(link[1])
        return link[1] if path is None else relpath(_address(path), address.parent)

    return LINK.sub(rewritten, markdown)


def _targets(source: Path, markdown: str) -> dict[str, Path]:
    """The files of the repository that a page links to, by the text of the link."""
    found = {link[1]: (source.parent / link[1]).resolve() for link in LINK.finditer(markdown)}
    return {text: path for text, path in found.items() if path.is_file() and path.is_relative_to(ROOT)}


def _address(path: Path) -> str:
    """A file's address among the sources of the site."""
    if path.is_relative_to(DOCS):
        return path.relative_to(DOCS).as_posix()
    name = path.relative_to(ROOT).as_posix()
    return f"repository/{name}" if path.suffix in (".md", *IMAGES) else f"repository/{name}.md"


def _site_file(path: Path, config: MkDocsConfig) -> File:
    if path.suffix in IMAGES:
        return File.generated(config, _address(path), abs_src_path=str(path))
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".md":
        text = f"# {path.name}\n\n`{path.relative_to(ROOT)}`\n\n````{path.suffix[1:]}\n{text}\n````\n"
    return File.generated(config, _address(path), content=text)
