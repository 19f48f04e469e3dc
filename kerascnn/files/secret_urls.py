"""Keeps the secrets of URLs, such as tokens, in one file that only the user may read, so that nothing else has them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
from pathlib import Path
from typing import Any

from filelock import FileLock

from kerascnn.errors import InputError
from kerascnn.files.atomic import atomic_write
from kerascnn.files.cache_folder import cache_folder
from kerascnn.shown_text import public_part

# Whole URLs, with blanks between them: for another machine, or instead of the file.
VARIABLE = "KERASCNN_URLS"

# URLs of this process, for caches that cannot be written.
_KEPT: dict[str, str] = {}
_KEY = secrets.token_hex(16)


def concealed(source: str) -> str:
    """The name by which a source is stored and shown; only a URL with a user, password or query has another one.

    It ends in digits that tell such URLs apart, and from which nothing follows without the file of `secrets_file`,
    where the URL is kept.

    Example:
        >>> concealed("https://example.org/pets.zip?token=secret")
        'https://example.org/pets.zip?…5d3fe810'
    """
    plain = source.partition("#")[0] if re.match("https?://", source, re.IGNORECASE) else source
    if not re.match("https?://", source, re.IGNORECASE) or public_part(plain) == plain:
        return plain
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            secrets_file().parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FileLock(secrets_file().with_suffix(".lock")))
        stored = _stored()
        tag = hashlib.blake2b(plain.encode("utf-8", "replace"), key=stored["key"].encode(), digest_size=4).hexdigest()
        name = f"{public_part(plain).removesuffix('?…')}?…{tag}"
        _KEPT[name] = plain
        if stored["urls"].get(name) != plain:
            stored["urls"][name] = plain
            with contextlib.suppress(OSError), atomic_write(secrets_file(), mode=0o600) as file:
                file.write(json.dumps(stored).encode())
    return name


def revealed(name: str) -> str:
    """The URL or path that `concealed` gave this name; InputError if it is kept nowhere on this machine."""
    base, hidden, _ = name.partition("?…")
    if not hidden:
        return name
    given = [url for url in os.environ.get(VARIABLE, "").split() if public_part(url).partition("?…")[0] == base]
    found = _KEPT.get(name) or (given[0] if given else _stored()["urls"].get(name))
    if found is None:
        raise InputError(
            f"the query of {name} is secret, and {secrets_file()} does not have it; give the whole URL in the "
            f"environment variable {VARIABLE}."
        )
    return found


def secrets_file() -> Path:
    """The file of URLs with secrets, in the user's cache; its mode is 600."""
    return cache_folder() / "secret-urls.json"


def _stored() -> dict[str, Any]:
    """The URLs by their names, and the key of the names' digits."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        found = json.loads(secrets_file().read_text("utf-8"))
        if isinstance(found, dict) and isinstance(found.get("key"), str) and isinstance(found.get("urls"), dict):
            return found
    return {"key": _KEY, "urls": {}}
