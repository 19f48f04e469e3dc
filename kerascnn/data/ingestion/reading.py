"""What a way to read a folder finds: its labels, or that it must not guess."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kerascnn.data.ingestion.label_tables import LabeledFile
from kerascnn.files.archives.archive_entry import SkippedFile


class UndecidedError(Exception):
    """There is more than one way to read a folder, or evidence against the only one.

    The message is the end of a sentence that begins with the source: "has … and …; --layout folders …".
    """


class Reading(NamedTuple):
    """The labels of a folder.

    Attributes:
        how: where the classes are, as a phrase.
        labeled: the files of a class.
        ignored: folders and files that are left out, each with the reason.
        unreadable: files that are named and missing.
        contradictory: files in two classes.
        from_table: whether the columns of a table were chosen.
    """

    how: str
    labeled: Sequence[LabeledFile]
    ignored: tuple[SkippedFile, ...] = ()
    unreadable: tuple[SkippedFile, ...] = ()
    contradictory: tuple[SkippedFile, ...] = ()
    from_table: bool = False
