"""What the titles of a table's columns say, by their words."""

import re

from kerascnn.data.ingestion.vocabulary import VOCABULARY

CLASS_WORDS, TAG_WORDS, WEAK_WORDS, NO_KINDS, NAME_WORDS, OTHER_WORDS, NUMBERED_WORDS = (
    VOCABULARY[name]
    for name in (
        *("class titles", "tag titles", "weak titles", "no kinds", "name titles", "other titles", "numbered titles"),
    )
)
KNOWN_WORDS = {"y"} | CLASS_WORDS | TAG_WORDS | WEAK_WORDS | NAME_WORDS | OTHER_WORDS | NUMBERED_WORDS


def words(title: str) -> list[str]:
    """The words of a title in the singular: "ClassName" and "class_names" are "class" and "name"."""
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", title)
    found = []
    for word in re.findall(r"[^\W\d_]+|\d+", split.lower()):
        found += _parted(word)
    return found


def _parted(word: str) -> list[str]:
    """Two words that are written as one: "classid"."""
    for known in (word, word.removesuffix("s"), word.removesuffix("es"), re.sub("ies$", "y", word)):
        if known in KNOWN_WORDS:
            return [known]
    for known in CLASS_WORDS - {"dx"}:
        for start, end in ((known, word[len(known) :]), (word[: -len(known)], known)):
            if start + end == word and {start, end} - {known} <= NAME_WORDS | {"name", "names", "ids"}:
                return [*_parted(start), *_parted(end)]
    return [word]


def is_class_title(title: str) -> bool:
    """Whether a title says that its column holds classes, such as "dx", "Class Name" or "category_id"."""
    found = set(words(title))
    # "dx_type" is how a diagnosis was made.
    if found & OTHER_WORDS or ("type" in found and found & {"dx", "diagnosis"}):
        return False
    weak = found & WEAK_WORDS and not found & NO_KINDS
    return bool(found == {"y"} or found & (CLASS_WORDS | TAG_WORDS) or weak)


def quoted(title: str) -> str:
    """A column for messages: column 'dx', or column 2 of a table without titles."""
    return title if re.fullmatch(r"column \d+", title) else f"column '{title}'"
