"""Finds class names that are the same text: accents written in two ways, letters in upper and lower case."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence

from kerascnn.data.ingestion.label_tables import LabeledFile
from kerascnn.data.ingestion.reading import UndecidedError


def without_twins(labeled: Sequence[LabeledFile], letter_case: str | None) -> tuple[list[LabeledFile], str]:
    """Joins classes whose names are the same text, and says which, in a phrase; it is empty if there are none.

    Unicode writes "é" as one character or as two; file systems and archives change one into the other. Names that
    differ in case are joined if `letter_case` is "merge", and stay if it is "keep".

    Raises:
        UndecidedError: names differ in case alone, and `letter_case` is None.
    """
    counts = Counter(name for item in labeled for name in item.classes)
    new_names = {name: composed(name) for name in counts}
    twins = defaultdict(Counter)
    for name, count in counts.items():
        twins[folded(name)][new_names[name]] += count
    for spellings in twins.values():
        if len(spellings) > 1 and letter_case is None:
            named = " and ".join(f"'{name}' ({count:,})" for name, count in sorted(spellings.items()))
            raise UndecidedError(
                f"has the classes {named}, which differ only in case; --letter-case merge makes them one class, "
                "--letter-case keep leaves them apart"
            )
    if letter_case == "merge":
        new_names = {name: twins[folded(new)].most_common(1)[0][0] for name, new in new_names.items()}
    joined = sorted({new for new, count in Counter(new_names.values()).items() if count > 1})
    if all(name == new for name, new in new_names.items()):
        return list(labeled), ""
    said = f"one class each, though written in several ways: {', '.join(joined)}" if joined else ""

    def renamed(item: LabeledFile) -> LabeledFile:
        names = tuple(dict.fromkeys(new_names[name] for name in item.classes))
        return item._replace(class_name=names if item.is_multi_label else names[0])

    return list(map(renamed, labeled)), said


def composed(name: str) -> str:
    """The name with its accents in the composed form (NFC), as Linux and Windows write them in names of files."""
    return unicodedata.normalize("NFC", name)


def folded(name: str) -> str:
    """The composed name without a difference of upper and lower case."""
    return composed(composed(name).casefold())
