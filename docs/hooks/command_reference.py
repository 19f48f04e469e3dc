"""The subcommands and their options on docs/reference/command_line.md, from the parsers of `kerascnn`."""

from __future__ import annotations

import argparse
import html
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kerascnn.cli import _parser

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

MARK = "<!-- The site has all subcommands here. -->"
# Of every subcommand; the page says it once.
COMMON = ("-h", "--debug")


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Replaces the mark by the reference."""
    return markdown.replace(MARK, command_reference())


def command_reference() -> str:
    """All subcommands in Markdown, each with its arguments, options and examples."""
    [subcommands] = [action for action in _parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return "\n".join(line for name, parser in subcommands.choices.items() for line in _subcommand(name, parser))


def _subcommand(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    operands = [action for action in parser._actions if not action.option_strings]
    usage = " ".join([parser.prog, "[options]", *(_form(action, parser) for action in operands)])
    yield from (f"## kerascnn {name} {{ #{name} }}", "", str(parser.description), "", "```text", usage, "```", "")
    for group in parser._action_groups:
        actions = [action for action in group._group_actions if not {*COMMON} & {*action.option_strings}]
        if actions:
            yield from (f"**{str(group.title).capitalize()}**", "")
        for action in actions:
            anchor = f"{name}-{(action.option_strings or [action.dest])[-1].strip('-')}"
            yield from (f"`{_form(action, parser)}`{{ #{anchor} }}", f":   {_help(action, parser)}", "")
    examples = re.sub("^  ", "", str(parser.epilog).removeprefix("examples:\n"), flags=re.MULTILINE)
    yield from ("**Examples**", "", "```sh", examples, "```", "")


def _form(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    """An option with its value, or an argument with how often it may stand, as `--help` prints them."""
    formatter = parser._get_formatter()
    value = formatter._format_args(action, formatter._get_default_metavar_for_positional(action))
    return " ".join(filter(None, (", ".join(action.option_strings), value)))


def _help(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    text = html.escape(parser._get_formatter()._expand_help(action), quote=False)
    excluded = [
        f"`{other.option_strings[-1]}`"
        for group in parser._mutually_exclusive_groups
        if action in group._group_actions
        for other in group._group_actions
        if other is not action
    ]
    text = re.sub(r"([*_])", r"\\\1", text)
    return f"{text}; not with {' or '.join(excluded)}" if excluded else text
