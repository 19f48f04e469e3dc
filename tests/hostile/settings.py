"""Recipes, the recipe.yaml of runs, and URLs."""

from __future__ import annotations

import random
import socket
from pathlib import Path
from unittest import mock

import yaml

from kerascnn.files.download import RetryPolicy, download
from kerascnn.training import Recipe, RunFolder
from kerascnn.training.run_record import COUNTS
from tests.hostile.attack import Kind
from tests.hostile.mutations import TEXTS, bytes_damaged, value_damaged

RUN = {
    "recipe": Recipe().to_dict(),
    "data": {"source": "digits", "limit": None, "options": {"fold": [1, 5], "leave_out": ["a"]}},
    "run_config": {"checkpoint_minutes": 10.0, "best": 1, "deterministic": False, "cache": "none"},
    "facts": {"classes": ["cat", "dog"], **dict.fromkeys(COUNTS, 10)},
    "versions": {"kerascnn": "1"},
    "commit": None,
}
# What YAML can do besides.
TRICKS = (
    *("a: &a [1]\nb: [*a, *a]\n", "&a [*a]\n", '!!python/object/apply:os.system ["true"]\n', "? [1, 2]\n: 3\n"),
    *("x: !!binary //8=\n", "x: 2026-11-28\n", "x: !!set {a, b}\n", "<<: {epochs: 3}\n", "---\na: 1\n---\nb: 2\n"),
    *("%YAML 9.9\n", "[" * 2000, "{a: " * 2000, f"x: {'9' * 5000}\n", "x: 1_000:59\n", "\t- a\n", "x: *nobody\n"),
    *("x: .nan\n", "- 1\n", "\0", "a: &a [x, x, x]\nb: &b [*a, *a, *a]\nc: &c [*b, *b, *b]\nd: &d [*c, *c, *c]\n"),
)


def _yaml(values: dict, chance: random.Random) -> bytes:
    text = yaml.safe_dump(value_damaged(values, chance), allow_unicode=True)
    if chance.random() < 0.3:
        trick = chance.choice(TRICKS)
        text = chance.choice((trick, text + trick, trick + text))
    contents = text.encode("utf-8", "surrogateescape")
    return bytes_damaged(contents, chance) if chance.random() < 0.3 else contents


def make_recipe(chance: random.Random) -> bytes:
    """A recipe with hostile fields, YAML's tricks or damaged bytes."""
    base = {"base": chance.choice(("resnet_small", "googlenet", "mine", *TEXTS[:12]))} if chance.random() < 0.3 else {}
    return _yaml(base | RUN["recipe"], chance)


def read_recipe(folder: Path, contents: bytes) -> None:
    """Loads it as `--recipe FILE` does."""
    (folder / "mine.yaml").write_bytes(contents)
    Recipe.load(folder / "mine.yaml")


def make_run(chance: random.Random) -> bytes:
    """A run's recipe.yaml, likewise."""
    return _yaml(RUN, chance)


def read_run(folder: Path, contents: bytes) -> None:
    """Reads it as resuming the run does."""
    (folder / "recipe.yaml").write_bytes(contents)
    run = RunFolder.open(folder)
    run.read_record()
    run.read_data_options()


def make_url(chance: random.Random) -> str:
    """A URL that leads nowhere, from odd parts."""
    hosts = (
        "127.0.0.1:1",
        "[::1]:1",
        "[::1",
        "localhost:1",
        "127.0.0.1:99999",
        "127.0.0.1:x",
        "",
        "a" * 300,
        "é:1",
        "user:secret@127.0.0.1:1",
    )
    scheme = chance.choice(("http://", "https://", "HTTP://", "http:/", "http:", "ftp://", "file://"))
    parts = (
        scheme,
        chance.choice((*hosts, *TEXTS)),
        "/",
        chance.choice(TEXTS),
        chance.choice(("", "?", "#", "?a=", ";")),
    )
    return "".join(parts) + chance.choice(TEXTS)


def read_url(folder: Path, url: str) -> None:
    """Downloads it, with no other machine in reach."""

    def resolve(host: object, port: object, *others: object, **options: object) -> list:
        if host not in ("127.0.0.1", "::1", "localhost"):
            raise socket.gaierror(socket.EAI_NONAME, "unknown host")
        return resolve_name(host, port, *others, **options)

    resolve_name, once = socket.getaddrinfo, RetryPolicy(timeout=1.0, max_attempts=1, initial_delay=0.0)
    with mock.patch.object(socket, "getaddrinfo", resolve):
        download(url, folder / "downloads", retry=once)
    raise AssertionError(f"{url!r} was downloaded")


RECIPES, RUNS, URLS = Kind(make_recipe, read_recipe), Kind(make_run, read_run), Kind(make_url, read_url)
