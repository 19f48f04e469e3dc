"""Pages of the site for the repository's files outside docs/ that pages link to, so that every link works offline.

Markdown and notebooks become pages, other text a page with one code block, an image is copied. Their addresses begin
with `repository/`, which is also how mkdocs.yml names them.
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
OUTSIDE = "repository"
LINK = re.compile(r"(?<=\]\()([^)\s#:]+)(?=[)#])")
IMAGES = (".png", ".jpg", ".svg")
WITH_LINKS = (".md", ".ipynb")
NOT_SEARCHED = "---\nsearch: {exclude: true}\n---\n\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the files that the pages and the navigation link to, and those that these link to."""
    listed = re.findall(rf"'{OUTSIDE}/([^']+)'", repr(config.nav))
    pending = [DOCS / page.src_uri for page in files.documentation_pages()]
    found = [_file(PurePosixPath(OUTSIDE, address)) for address in listed]
    while pending or found:
        for path in found:
            if files.get_file_from_path(_address(path)) is None:
                files.append(_site_file(path, config))
                if path.suffix in WITH_LINKS:
                    pending.append(path)
        source = pending.pop() if pending else None
        found = [*_targets(source, source.read_text(encoding="utf-8")).values()] if source else []
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Points a page's links to these files."""
    address = PurePosixPath(page.file.src_uri)
    source = _file(address)
    targets = _targets(source, markdown) if source.suffix in WITH_LINKS else {}

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
    name = f"{OUTSIDE}/{path.relative_to(ROOT).as_posix()}"
    return name if path.suffix in (".md", *IMAGES) else f"{name}.md"


def _file(address: PurePosixPath) -> Path:
    """The file at an address."""
    if address.parts[0] != OUTSIDE:
        return DOCS / address
    path = ROOT / address.relative_to(OUTSIDE)
    return path if path.is_file() else path.with_suffix("")


def _site_file(path: Path, config: MkDocsConfig) -> File:
    if path.suffix in IMAGES:
        return File.generated(config, _address(path), abs_src_path=str(path))
    if path.suffix == ".ipynb":
        return File.generated(config, _address(path), content=_notebook(path))
    text = path.read_text(encoding="utf-8")
    if path.name == "README.md":
        # Its heading is the name of the site.
        text = f"---\ntitle: README\n---\n\n{text}"
    if path.suffix != ".md":
        name = path.relative_to(ROOT).as_posix()
        text = f"{NOT_SEARCHED}# `{path.name}`\n\n`{name}`\n\n````{path.suffix[1:]}\n{text}\n````\n"
    return File.generated(config, _address(path), content=text)


def _notebook(path: Path) -> str:
    """A notebook as Markdown, with its figures inside."""
    from nbconvert import MarkdownExporter
    from traitlets.config import Config

    inside = Config({"ExtractOutputPreprocessor": {"enabled": False}})
    text, _ = MarkdownExporter(config=inside).from_filename(str(path))
    return re.sub(r"\n(?: *\n){3,}", "\n\n", text)
