"""What reading a folder finds: files with their classes and what is left out, or that it must not guess."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kerascnn.files.archives.archive_entry import SkippedFile
from kerascnn.files.file_names import composed, folded

MAX_LISTED = 4


class UndecidedError(Exception):
    """There is more than one way to read a folder, or evidence against the only one.

    The message is the end of a sentence that begins with the source: "has … and …; --layout folders …".
    """


class LabeledFile(NamedTuple):
    """A file, its class, its split if the source has splits, and its group if the user names a column of groups.

    A multi-label file has a tuple of classes, which may be empty.
    """

    path: str
    class_name: str | tuple[str, ...]
    split: str | None = None
    group: str | None = None

    @property
    def is_multi_label(self) -> bool:
        """Whether it may have several classes."""
        return isinstance(self.class_name, tuple)

    @property
    def classes(self) -> tuple[str, ...]:
        """Its class, or any number of classes if it is multi-label."""
        return self.class_name if isinstance(self.class_name, tuple) else (self.class_name,)


@dataclass(frozen=True)
class Reading:
    """The files of a folder with their classes; without any, what keeps them from being read."""

    description: str = ""  # where the classes are, with the evidence
    labeled: Sequence[LabeledFile] = ()
    ignored: tuple[SkippedFile, ...] = ()  # files and folders that are left out
    unreadable: tuple[SkippedFile, ...] = ()  # files that cannot be opened, or are named and missing
    contradictory: tuple[SkippedFile, ...] = ()  # files in two classes
    from_table: bool = False  # whether the columns of a table were chosen

    @property
    def classes(self) -> set[str]:
        """The names of the classes, all in lower case."""
        return {folded(name) for name in {one for item in self.labeled for one in item.classes}}


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


def listed(texts: Sequence[str]) -> str:
    """The first texts, and how many more there are."""
    more = [f"{len(texts) - MAX_LISTED:,} more"] if len(texts) > MAX_LISTED else []
    return ", ".join([*texts[:MAX_LISTED], *more])


def quoted(names: Sequence[str]) -> str:
    """The first names, each in quotes."""
    return listed([f"'{name}'" for name in names])
