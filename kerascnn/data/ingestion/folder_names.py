"""What names of folders say: that they hold a split, annotations, or parts of a collection, and no class."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from kerascnn.data.ingestion.splits import TEST, TRAINING, VALIDATION
from kerascnn.data.ingestion.vocabulary import VOCABULARY

SPLIT_WORDS = {
    **dict.fromkeys(("train", "training", "trn", "trainval"), TRAINING),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "devel"), VALIDATION),
    **dict.fromkeys(("test", "testing", "tst", "eval", "evaluation", "holdout", "pred", "predict"), TEST),
}

IMAGE_WORDS, CONTAINER_WORDS = VOCABULARY["images"], VOCABULARY["containers"]
FILLERS = IMAGE_WORDS | VOCABULARY["fillers"]
ANNOTATION_WORDS, WITH_ANNOTATION = VOCABULARY["annotations"], FILLERS | VOCABULARY["with annotations"]
PART_WORDS = VOCABULARY["parts"]
JOINED = re.compile(r"\b(training|train|testing|test|validation|valid|val|dev)(?=sets?\b|data|images?\b|imgs?\b)")
DATE = re.compile(r"(19|20)\d\d([-_. ]?\d\d){0,2}")

# Folders of published data that hold images of no class, with what they hold.
NO_CLASS = {
    **dict.fromkeys(("_unlabeled", "unlabeled", "unlabelled", "unsorted"), "images without a label"),
    **dict.fromkeys(("background_google", "257.clutter"), "images of no category"),
}


def words_of(name: str) -> list[str]:
    """The words of a name in lower case, without numbers.

    Example:
        >>> words_of("trainingSet_256"), words_of("JPEGImages")
        (['training', 'set'], ['jpeg', 'images'])
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    spaced = JOINED.sub(r"\1 ", spaced.lower())
    return re.findall(r"[^\W\d_]+", spaced)


def splits_of(names: Sequence[str]) -> dict[str, str]:
    """The splits that folders beside each other are named for, by folder.

    A name is that of a split if it is one of `SPLIT_WORDS` with `FILLERS` at most ("images_train"), or with the same
    other words as the name of another split ("cars_train" and "cars_test").

    Example:
        >>> splits_of(["seg_train", "seg_test", "bullet train"])
        {'seg_train': 'training', 'seg_test': 'test'}
    """
    named, others = {}, defaultdict(set)
    for name in names:
        words = words_of(name)
        if len(found := [word for word in words if word in SPLIT_WORDS]) == 1:
            rest = frozenset(words) - {*found, *FILLERS}
            named[name] = SPLIT_WORDS[found[0]], rest
            others[rest].add(SPLIT_WORDS[found[0]])
    return {name: split for name, (split, rest) in named.items() if not rest or len(others[rest]) > 1}


def names_annotations(name: str, beside: Sequence[str] = ()) -> bool:
    """Whether a folder is named for annotations: "masks", "SegmentationClass", or "cat_masks" beside "cat"."""
    words = set(words_of(name))
    rest = words - ANNOTATION_WORDS
    return rest != words and (rest <= WITH_ANNOTATION or any(rest == set(words_of(other)) for other in beside))


def names_images(name: str) -> bool:
    """Whether a folder is named for images as such: "images", "JPEGImages"."""
    words = set(words_of(name))
    return bool(words & IMAGE_WORDS) and words <= IMAGE_WORDS | FILLERS


def names_container(name: str) -> bool:
    """Whether a folder is named for images, or as a folder as such: "images", "New folder", "dataset"."""
    words = set(words_of(name))
    return names_images(name) or (bool(words & CONTAINER_WORDS) and words <= FILLERS | {"new", "untitled"})


def names_nothing(name: str) -> bool:
    """Whether a folder's name says nothing about what is in it: "images", "dataset", "raw_data"."""
    words = set(words_of(name))
    return bool(words) and words <= FILLERS


def name_parts(names: Sequence[str]) -> bool:
    """Whether most folders are named for dates, or for parts of one collection: "part_1", "part_2"."""
    if all(DATE.fullmatch(name) for name in names):
        return True
    words = Counter(tuple(words_of(name)) for name in names if re.search(r"\d", name))
    common, count = words.most_common(1)[0] if words else ((), 0)
    return 1 < count > len(names) / 2 and bool(PART_WORDS & {*common[-1:]})
