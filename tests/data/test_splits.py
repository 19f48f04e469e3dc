"""Splits that stay, and copies that are found."""

import hashlib
from dataclasses import replace

import numpy as np

from kerascnn.data.ingestion.file_table import FileTable
from kerascnn.data.ingestion.image_check import FileRecord
from kerascnn.data.ingestion.splits import find_duplicates, split_by_content


def entries(count, class_name="a", prefix=""):
    digests = [hashlib.sha256(f"{prefix}{class_name}{n}".encode()).hexdigest() for n in range(count)]
    return [FileRecord(f"{class_name}/{n}.jpg", class_name, sha256=digest) for n, digest in enumerate(digests)]


def held(found):
    return {entry.path for entry in split_by_content(FileTable(found)) if entry.split == "validation"}


def test_a_fifth_of_each_class():
    found = entries(5000) + entries(2000, "b")
    shares = [sum(path.startswith(name) for path in held(found)) / n for name, n in (("a/", 5000), ("b/", 2000))]
    # Three standard deviations of a binomial share: 3 * 0.4 / sqrt(n).
    np.testing.assert_allclose(shares, 0.2, atol=3 * 0.4 / np.sqrt(2000))


def test_nothing_moves_when_files_are_added():
    few, many = entries(100), entries(1000)
    assert held(few) == held(many) & {entry.path for entry in few}
    assert held(list(reversed(many))) == held(many)


def test_every_class_has_both_splits():
    for prefix in range(200):
        for count in (2, 3, 5):
            assert 0 < len(held(entries(count, prefix=str(prefix)))) < count


def test_copies_are_in_one_split_also_across_classes():
    for prefix in range(200):
        one = entries(2, "a", str(prefix))
        copies = [FileRecord(f"b/{n}.jpg", "b", sha256=entry.sha256) for n, entry in enumerate(one)]
        sides = {}
        for entry in split_by_content(FileTable(one + copies + entries(3, "b", str(prefix)))):
            sides.setdefault(entry.sha256, set()).add(entry.split)
        assert all(len(side) == 1 for side in sides.values())


def test_duplicates():
    found = find_duplicates(
        FileTable(
            [
                FileRecord("train/a/1", "a", "training", sha256="1" * 64),
                FileRecord("train/a/2", "a", "training", sha256="1" * 64),
                FileRecord("test/a/3", "a", "validation", sha256="1" * 64),
                FileRecord("train/b/4", "b", "training", sha256="2" * 64),
                FileRecord("train/a/5", "a", "training", sha256="2" * 64),
                FileRecord("train/a/6", "a", "training", sha256="3" * 64),
                FileRecord("train/a/7", "a", sha256="3" * 64, status="unreadable"),
            ]
        )
    )
    first, second = ("train/a/1", "train/a/2", "test/a/3"), ("train/b/4", "train/a/5")
    assert (found.groups, found.across_splits, found.across_classes) == ((first, second), (first,), (second,))


def test_every_class_of_multi_label_images_is_in_both_splits():
    tags = [("fog",), ("fog", "sea"), ("sea", "sun"), ("sun",), ("rare", "sun"), ()] * 20 + [("once", "rare", "sun")]
    found = [
        replace(entry, class_name=names)
        for seed in range(10)
        for entry, names in zip(entries(len(tags), prefix=str(seed)), tags, strict=True)
    ]
    for seed in range(10):
        assigned = split_by_content(FileTable(found[seed * len(tags) : (seed + 1) * len(tags)]))
        split_of = {split: {name for file in assigned if file.split == split for name in file.classes or ("",)}
                    for split in ("training", "validation")}  # fmt: skip
        assert split_of["training"] == {"fog", "sea", "sun", "rare", "once", ""}
        assert split_of["validation"] >= {"fog", "sea", "sun", "rare", ""}
