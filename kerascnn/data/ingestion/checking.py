"""Checks the files of a source that no manifest has yet, and remembers the results while it goes on."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kerascnn.data.ingestion import manifest
from kerascnn.data.ingestion.file_table import FileTable
from kerascnn.data.ingestion.image_check import FileRecord, check_images
from kerascnn.data.ingestion.manifest import Journal, Parts, SourceRecord, read_parts
from kerascnn.errors import InputError
from kerascnn.files.progress import Track


@dataclass
class Effort:
    """What the check of a source took."""

    checked: int = 0  # files that were read, because no manifest had them as they are
    seconds: float = 0.0  # for all files, those of the manifest included
    manifest_bytes: int = 0  # size of the manifest that was written; 0 if none could be
    manifest_seconds: float = 0.0  # for reading the earlier manifest


class Check:
    """The check of one manifest's files: reads what is known of them, and writes the manifest at the end.

    The manifests of parts that other machines checked are known too; when all are there, the manifest replaces them.
    `path` is that of the manifest, `source_record` its first line, and `root` the folder of images.
    """

    def __init__(self, path: Path, source_record: SourceRecord, root: Path):
        self.effort = Effort()
        self._path, self._source_record, self._root = path, source_record, root
        start = time.perf_counter()
        # Before the manifest: another machine that merges them removes them when it has written that.
        self.parts = Parts() if manifest.is_among(path, root) else read_parts(path, source_record)
        self.earlier = manifest.read_own_manifest(path, source_record, root)
        self.effort.manifest_seconds = time.perf_counter() - start

    def records(self, paths: Sequence[str], track: Track, others: Sequence[FileTable] = ()) -> Iterator[FileRecord]:
        """One record per path, in order; `others` are more records that are known."""
        journal = Journal(self._path, self._source_record, self._root, required=not self._in_cache)
        known = [journal.files, *self.parts.tables, *others, *([self.earlier.files] * self.earlier.is_current)]
        finders = [files.finder() for files in known if len(files)]
        start = time.perf_counter()

        def find(path: str) -> FileRecord | None:
            return next((record for finder in finders if (record := finder(path))), None)

        def checked(record: FileRecord) -> None:
            self.effort.checked += 1
            journal.append(record)

        with journal:
            yield from check_images(self._root, paths, find, checked, track)
        self.effort.seconds = time.perf_counter() - start

    def write(self, files: FileTable) -> Path | None:
        """Writes the manifest unless it is the same, and removes the journal; None if the cache cannot be written."""
        earlier = self.earlier
        try:
            same = earlier.is_current and earlier.source_record == self._source_record and earlier.files == files
            if not same:
                manifest.write_manifest(self._path, self._source_record, files)
        except InputError:
            if not self._in_cache:
                raise
            return None
        self.remove_journal()
        for part in () if self.parts.missing else self.parts.paths:
            part.unlink(missing_ok=True)
        self.effort.manifest_bytes = self._path.stat().st_size
        return self._path

    def remove_journal(self) -> None:
        """Removes the journal, when a manifest has its records."""
        manifest.journal_path(self._path).unlink(missing_ok=True)

    @property
    def _in_cache(self) -> bool:
        """Whether the user gave no folder: a cache that cannot be written costs time only."""
        return not self._path.name.startswith(manifest.STEM)
