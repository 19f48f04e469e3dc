"""The documentation's site: what its reference must have, and that its pages read as on GitHub."""

import ast
import re
from html.parser import HTMLParser
from importlib import import_module, util
from pkgutil import resolve_name

import pytest
from markdown_it import MarkdownIt

from kerascnn.cli import _parser
from support.pages import ROOT, Page

PAGES = sorted(ROOT.glob("docs/**/*.md"))
PACKAGES = ("applications", "layers", "data", "training", "training.search", "evaluation", "export", "complexity")
# Directives such as "::: kerascnn.applications.vgg", with the members that are shown of a module.
DIRECTIVE = re.compile(r"^::: ([\w.]+)(?:\n    options: \{.*?members: \[([\w, ]*)\]\})?$", re.MULTILINE)


def hook(name):
    """A module of docs/hooks, which mkdocs imports by its path."""
    spec = util.spec_from_file_location(name, ROOT / "docs" / "hooks" / f"{name}.py")
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def in_the_reference():
    found = set()
    for page in (ROOT / "docs" / "reference").glob("*.md"):
        for path, members in DIRECTIVE.findall(page.read_text(encoding="utf-8")):
            found |= {path} | {f"{path}.{member}" for member in members.split(", ") if member}
    return found


@pytest.mark.parametrize("package", ["kerascnn", "kerascnn.experiments", *(f"kerascnn.{name}" for name in PACKAGES)])
def test_every_public_name_is_in_the_reference(package):
    shown = {id(resolve_name(path)) for path in in_the_reference()}
    # These packages are pages of their own.
    pages = {f"kerascnn.{name}" for name in (*PACKAGES, "experiments")}
    names = {f"{package}.{name}" for name in import_module(package).__all__} - pages - {"kerascnn.__version__"}
    assert {name for name in names if id(resolve_name(name)) not in shown} == set()
    assert names


def test_what_the_guides_import_is_in_the_reference():
    """As a name of its own, or as a package that has a page."""
    shown = in_the_reference()
    known = {id(resolve_name(path)) for path in shown} | {id(import_module(f"kerascnn.{name}")) for name in PACKAGES}
    imported = set()
    for page in PAGES:
        for block in Page(str(page)).blocks("python"):
            for node in ast.walk(ast.parse(block)):
                if isinstance(node, ast.ImportFrom) and str(node.module).startswith("kerascnn"):
                    imported |= {f"{node.module}.{alias.name}" for alias in node.names}
    assert len(imported) > 20
    assert {name for name in imported if id(resolve_name(name)) not in known} == set()


def test_every_subcommand_and_option_is_in_the_command_reference():
    reference = hook("command_reference").command_reference()
    sections = dict(re.findall(r"^## kerascnn ([\w-]+) .*?\n(.*?)(?=^## |\Z)", reference, re.MULTILINE | re.DOTALL))
    [subcommands] = [action.choices for action in _parser()._actions if action.dest == "subcommand"]
    assert sections.keys() == subcommands.keys() and len(sections) > 10
    for name, parser in subcommands.items():
        options = {*re.findall(r"^  (--[\w-]+)", parser.format_help(), re.MULTILINE)} - {"--debug"}
        shown = {*re.findall(r"^`(--[\w-]+)", sections[name], re.MULTILINE)}
        assert shown == options, name
        for example in re.findall(r"^  (kerascnn .*)$", parser.format_help(), re.MULTILINE):
            assert f"\n{example}\n" in sections[name]
    page = (ROOT / "docs" / "reference" / "command_line.md").read_text(encoding="utf-8")
    assert hook("command_reference").MARK in page


class Structure(HTMLParser):
    """The tags of a page that readers see as its structure."""

    KINDS = re.compile("[uod]l|li|pre|table|t[rhd]|h[1-4]|img|blockquote|em|strong|a|code")

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if self.KINDS.fullmatch(tag) and dict(attrs).get("class") != "headerlink":
            self.tags.append(tag)


def test_pages_have_the_same_structure_as_on_github():
    """Python-Markdown reads lists and code in lists by other rules; the hooks and this test keep them the same."""
    markdown = pytest.importorskip("markdown")
    load_config = pytest.importorskip("mkdocs.config").load_config
    config = load_config(str(ROOT / "mkdocs.yml"))
    lists = hook("github_lists")
    pages = [page for page in PAGES if page.parent.name != "reference"]
    assert len(pages) > 20
    for page in (*pages, *map(ROOT.joinpath, ("CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/RESULTS.md"))):
        text = page.read_text(encoding="utf-8")
        there = MarkdownIt().enable("table").render(text)
        here = markdown.markdown(
            lists.on_page_markdown(text, None, config, None),
            extensions=config.markdown_extensions,
            extension_configs=config.mdx_configs,
        )
        assert Structure(here).tags == Structure(there).tags, page


@pytest.mark.parametrize(
    "there, here",
    [
        ("1. a\n   - b\n\n         code\n2. c", "1. a\n    - b\n\n            code\n2. c"),
        ("- a\n  - b\n    - c\n- d", "- a\n    - b\n        - c\n- d"),
        ("    - code", "    - code"),
        ("- a\n\n  ```yaml\n  - b\n    - c\n  ```", "- a\n\n    ```yaml\n    - b\n      - c\n    ```"),
        ("````\n```\n- a\n  - b\n````", "````\n```\n- a\n  - b\n````"),
    ],
)
def test_nested_lists(there, here):
    assert hook("github_lists").on_page_markdown(there, None, None, None) == here


def test_links_to_files_outside_the_documentation_lead_to_pages():
    files = pytest.importorskip("mkdocs.structure.files")
    load_config = pytest.importorskip("mkdocs.config").load_config
    config = load_config(str(ROOT / "mkdocs.yml"))
    repository = hook("repository_files")
    # As while mkdocs calls it.
    config.plugins._current_plugin = "repository_files"
    page = files.File.generated(config, "data.md", abs_src_path=str(ROOT / "docs" / "data.md"))
    found = repository.on_files(files.Files([page]), config)
    assert {"repository/benchmarks/RESULTS.md", "repository/tests/data/test_data_page.py.md"} <= {*found.src_uris}

    class Shown:
        file = page

    text = "[a](../benchmarks/RESULTS.md#x) [b](recipes.md) [c](../CONTRIBUTING.md) [d](../no.md) [e](https://a.b/c.md)"
    assert repository.on_page_markdown(text, Shown, config, found) == (
        "[a](repository/benchmarks/RESULTS.md#x) [b](recipes.md) [c](repository/CONTRIBUTING.md) [d](../no.md) "
        "[e](https://a.b/c.md)"
    )
