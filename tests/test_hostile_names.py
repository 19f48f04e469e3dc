"""Names of classes and files that terminals, pages and spreadsheets would obey, shown literally everywhere."""

import csv
import html
import io
import json
import re
import shutil

import numpy as np
import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from kerascnn import InputError, data
from kerascnn.cli.loading import json_text
from kerascnn.complexity.report import markdown_table
from kerascnn.console import print_text, table
from kerascnn.data.ingestion.label_columns import class_name
from kerascnn.evaluation.plots import confusion_figure, curves_figure, png_of
from kerascnn.evaluation.predictors import LABELS_FILE, ModelMetadata
from kerascnn.evaluation.report import render_page
from kerascnn.files.spreadsheets import RowWriter
from kerascnn.layers import ClassLabels
from kerascnn.shown_text import for_json, for_markdown, for_spreadsheet, for_terminal, literal
from support.images import landscapes
from support.messages import mentioning

# By what obeys them.
TERMINAL = [
    *(
        "cat\x1b[31m",
        "\x1b]8;;http://x\x07cat",
        "cat\x9b2J",
        "cat\rdog",
        "cat\b\b\bdog",
        "two\nlines",
        "two\u2028lines",
    ),
    *("a\u202egpj.tac", "a\u2066b", "z\u200bz", "\ufeffcat", "\U000e0041cat", "x\x00y", "x\x7f", "x\x85y"),
]
MARKUP = ["[/red]", "[bold]cat", "[link=http://x]cat[/link]", "[", "\\[red]", ":smile:", "[/]", "[@click=x]cat[/]"]
MARKDOWN = [
    *(
        "[cat](http://x)",
        "![cat](http://x/y.png)",
        "<img src=x onerror=alert(1)>",
        "<script>alert(1)</script>",
        "[cat]: y",
        "https://x.org www.x.org",
    ),
    *("cat|dog", "`rm -rf`", "# cat", "- cat", "1. cat", "1) cat", "_cat_", "__cat__", "*cat*", "~~cat~~", "&lt;b&gt;"),
    *("cat\\", "\\|", "<!-- cat", "<http://x>", "```", "$x$", "=== cat", "+ cat", "--- cat", "~~~"),
]
FORMULAS = ['=HYPERLINK("http://x")', "=1+1", "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", " =1", "＝1", "\t=1", "\r=1"]
PLAIN = ["cat", "Größe", "猫", "हिन्दी क्\u200dष", "a_b", "cat-2", "3.5", "O'Brien", "C++", "50 %", "é", "a\u00a0b", "🐈"]


def is_obeyed(text):
    return any(not (char.isprintable() or char in "\n\u00a0\u200d") for char in text)


@pytest.mark.parametrize("name", [*TERMINAL, *MARKUP, *PLAIN])
def test_terminals(name):
    shown = table("class", f"of {name}", title=f"title {name}", caption=f"caption {name}")
    shown.add_row(name, "7")
    out = io.StringIO()
    console = Console(file=out, width=200)
    console.print(shown)
    print_text(console, f"it is {name}", name)
    text = out.getvalue()
    assert not is_obeyed(text)
    # Lines that are printed as such may be several.
    assert text.count(literal(name)) == (2 if "\n" in name else 6)
    assert not is_obeyed(str(InputError(f"there is no {name}.")))


@pytest.mark.parametrize("name", PLAIN)
def test_names_that_nothing_obeys_stay(name):
    assert literal(name) == for_terminal(name) == for_json(name) == class_name(name) or "\u00a0" in name
    assert for_spreadsheet(name) == name
    assert MarkdownIt().renderInline(for_markdown(name)) == html.escape(name).replace("&#x27;", "'")


@pytest.mark.parametrize("name", [*MARKDOWN, *MARKUP, *TERMINAL, *FORMULAS])
def test_markdown(name):
    shown = html.escape(literal(name)).replace("&#x27;", "'").strip()
    assert MarkdownIt("commonmark").enable("table").render(for_markdown(name)).strip() == f"<p>{shown}</p>"
    page = MarkdownIt("commonmark").enable("table").render(markdown_table(["class", "n"], [(name, "1")], 1))
    assert page.count("<td") == 2 and f"<td>{shown}</td>" in page
    # GitHub makes links of addresses that nothing marks.
    assert not re.search(r"[^\\]://|www\.", for_markdown(name))


@pytest.mark.parametrize("name", FORMULAS)
def test_spreadsheets(name):
    out = io.StringIO()
    RowWriter(out).writerows([(name, 1, -2.5, "-0.5", "1e-3", None), ("-nan", "-inf", "+3", "-", "a=b", "")])
    first, second = csv.reader(io.StringIO(out.getvalue()))
    assert first[1:] == ["1", "-2.5", "-0.5", "1e-3", ""] and second == ["-nan", "-inf", "+3", "-", "a=b", ""]
    assert first[0].lstrip()[:1] not in tuple("=+-@＝") and not is_obeyed(first[0]) and literal(name) in first[0]


@pytest.mark.parametrize("name", [*TERMINAL, *MARKUP, *MARKDOWN])
def test_json_and_web_pages(name):
    shown = for_json(json.dumps({"name": name}, ensure_ascii=False))
    assert json.loads(shown) == {"name": name} and not is_obeyed(shown)
    assert json.loads(json_text([name])) == [name]
    section = {"heading": name, "paragraph": name, "head": (name,), "rows": [(name,)], "text_columns": 1}
    page = render_page(title=name, introduction=name, sections=[section], footer=name)
    assert page.count(html.escape(literal(name)).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")) >= 6
    assert not is_obeyed(page)


@pytest.mark.parametrize("name", TERMINAL)
def test_labels_stay_one_line_each(name):
    names = ClassLabels([name, "dog"]).class_names
    assert not is_obeyed(names[0]) and "\n" not in names[0] and not is_obeyed(class_name(name))
    files = ModelMetadata((name, "dog"), 8, 1.0).to_files()
    assert len(files[LABELS_FILE].splitlines()) == 2 and not is_obeyed(files[LABELS_FILE])
    with mentioning(InputError, repr(name), "control characters"):
        data.from_arrays(np.full((4, 8, 8, 3), 99, "uint8"), [0, 0, 1, 1], class_names=[name, "dog"])


@pytest.mark.parametrize("name", [r"$\frac{", "$x^2$", "a$b", r"\$"])
def test_plots(name):
    history = [{"epoch": 0, "loss": 1.0, "val_loss": 1.0, "top1": 0.5, "val_top1": 0.5}]
    for figure in (confusion_figure(np.eye(2, dtype=int), (name, "dog"), name), curves_figure(history, name)):
        assert png_of(figure)


def test_the_commands(tmp_path, command):
    folder = landscapes(tmp_path / "pets", 3, classes=("a", "b"))
    (folder / "a").rename(folder / "[link=http:x]cat[red]\x1b[31m\n")
    (folder / "b").rename(folder / "=dog\u202e")
    (folder / "=dog\u202e" / "bad\x1b[2J[red].png").write_bytes(b"")
    shown = command("ingest", folder)
    assert shown.status == 0 and not is_obeyed(shown.out + shown.err)
    assert "[link=http:x]cat[red]\\x1b[31m" in shown.out and r"bad\x1b[2J[red].png" in shown.out
    printed = command("ingest", folder, "--json")
    assert not is_obeyed(printed.out) and len(json.loads(printed.out)["classes"]) == 2
    shutil.rmtree(folder / "=dog\u202e")
    failed = command("ingest", folder)
    assert failed.status == 2 and not is_obeyed(failed.err)
