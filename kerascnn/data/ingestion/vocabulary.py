"""The words by which the titles of columns, folders and files are recognized, as vocabulary.yaml lists them."""

from pathlib import Path

import yaml

_LISTS: dict[str, str] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))

VOCABULARY = {name: frozenset(words.split()) for name, words in _LISTS.items()}
