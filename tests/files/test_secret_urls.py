"""URLs with tokens, passwords and signatures: shown without them, kept in one file, and fetched with them."""

import json
import os

import pytest

from kerascnn import InputError
from kerascnn.files import secret_urls
from kerascnn.files.secret_urls import VARIABLE, concealed, revealed, secrets_file
from kerascnn.shown_text import for_terminal, shown_url
from support.messages import mentioning, names
from support.pages import Page

SIGNED = "https://bucket.s3.amazonaws.com/pets.zip?X-Amz-Signature=SECRET&X-Amz-Credential=SECRET"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(secret_urls, "_KEPT", {})
    return tmp_path / "cache"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (SIGNED, "https://bucket.s3.amazonaws.com/pets.zip?…"),
        ("https://me:SECRET@example.org/pets.zip", "https://example.org/pets.zip"),
        ("https://me:SE/CRET@example.org/pets.zip", "https://example.org/pets.zip"),
        ("https://me:SE?CRET@example.org/pets.zip", "https://example.org/pets.zip"),
        ("https://me:SE#CR@ET@example.org/pets.zip", "https://example.org/pets.zip"),
        ("https://SECRET@example.org:8080/pets.zip", "https://example.org:8080/pets.zip"),
        ("https://example.org/pets.zip#access_token=SECRET", "https://example.org/pets.zip"),
        ("https://example.org/#a?SECRET", "https://example.org/"),
        ("https://example.org/pets;jsessionid=SECRET/a.zip", "https://example.org/pets;…/a.zip"),
        ("HTTP://[::1/x?token=SECRET", "HTTP://[::1/x?…"),
        ("htp:/example.org/x?token=SECRET", "htp:/example.org/x?…"),
        ("s3://bucket/x?SECRET", "s3://bucket/x?…"),
        ("https:me:SECRET@example.org/x", "https:example.org/x"),
        ("https://example.org/x.zip%3Ftoken=SECRET", "https://example.org/x.zip?…"),
        ("https://example.org/x.zip&token=SECRET", "https://example.org/x.zip?…"),
        ("https://me%3ASECRET@example.org/x", "https://example.org/x"),
        ("https://example.org/@user/pets.zip", "https://example.org/@user/pets.zip"),
        ("https://example.org/a\x1b[31m?SECRET", r"https://example.org/a\x1b[31m?…"),
    ],
)
def test_a_url_as_it_is_shown(url, shown):
    assert shown_url(url) == shown and shown_url(shown) == shown
    assert for_terminal(f"({url}) fails: see '{url}'.") == f"({shown}) fails: see '{shown}'."
    assert str(InputError(f"{url} cannot be read.")) == f"{shown} cannot be read."


def test_secrets_are_in_one_file_that_only_the_user_reads(cache):
    old = os.umask(0)
    try:
        name = concealed(SIGNED)
    finally:
        os.umask(old)
    assert name.startswith("https://bucket.s3.amazonaws.com/pets.zip?…") and "SECRET" not in name
    assert secrets_file().stat().st_mode & 0o777 == 0o600
    others = [path for path in cache.rglob("*") if path != secrets_file() and path.is_file()]
    assert not any(b"SECRET" in path.read_bytes() for path in others)
    secret_urls._KEPT.clear()
    assert revealed(name) == SIGNED


def test_names_are_stable_and_tell_urls_apart():
    name = concealed(SIGNED)
    assert concealed(name) == name == concealed(SIGNED) == concealed(f"{SIGNED}#part")
    assert concealed(f"{SIGNED}2") != name
    # However long they are.
    long = concealed(f"https://example.org/{'a' * 5000}/pets.zip?SECRET")
    assert len(long) > 5000 and concealed(long) == long and revealed(long).endswith("SECRET")
    assert long in str(InputError(f"{long} is not there.")) and len(shown_url(long)) <= 200
    for plain in ("digits", "pets.zip", "/a/b?c", "https://example.org/pets.zip"):
        assert concealed(plain) == plain == revealed(plain)


def test_a_name_says_nothing_without_the_file(cache, monkeypatch, tmp_path):
    name = concealed(SIGNED)
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "of another user"))
    monkeypatch.setattr(secret_urls, "_KEY", "another")
    assert concealed(SIGNED) != name


def test_another_machine_asks_the_environment(monkeypatch, tmp_path):
    name = concealed(SIGNED)
    secret_urls._KEPT.clear()
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "of another machine"))
    with mentioning(InputError, name, VARIABLE):
        revealed(name)
    monkeypatch.setenv(VARIABLE, f"https://example.org/other.zip?x {SIGNED}")
    assert revealed(name) == SIGNED


def test_a_damaged_file_and_a_cache_that_cannot_be_written(cache, monkeypatch):
    cache.mkdir()
    for damaged in ("", "[]", '{"key": 1, "urls": {}}', '{"key": "1", "urls": []}', "[" * 10_000):
        secrets_file().write_text(damaged)
        assert revealed(concealed(SIGNED)) == SIGNED
    assert json.loads(secrets_file().read_text())["urls"]
    monkeypatch.setenv("KERASCNN_CACHE", "/proc/nowhere")
    assert revealed(concealed(SIGNED)) == SIGNED


def test_the_page_says_where_they_are():
    names(Page("docs/security.md").text, f"{VARIABLE}=", secrets_file().name, "mode 600", "manifests/written")
