"""The exception that means "the caller can put this right", and what its sentences are made of."""

from __future__ import annotations

import difflib
import importlib.util
import numbers
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from kerascnn.shown_text import literal, without_secrets

LONGEST_SENTENCE = 10_000  # Characters; more is nobody's sentence


class InputError(ValueError):
    """A mistake in what was handed in: one sentence that names the thing, the value and what would be right.

    The command line prints it and ends with status 2; everything else that is raised is a fault of the
    program and keeps its traceback. What a terminal would obey is written out, and URLs lose what may be secret,
    whoever put them into the sentence; of a very long one the middle is left out.
    """

    def __init__(self, sentence: object = ""):
        shown, half = literal(without_secrets(str(sentence))), LONGEST_SENTENCE // 2
        super().__init__(shown if len(shown) <= LONGEST_SENTENCE else f"{shown[:half]} … {shown[-half:]}")


def is_real(value: object) -> bool:
    """Whether a value is a number, which texts and truth values are not.

    Example:
        >>> is_real(0.2), is_real("0.2")
        (True, False)
    """
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def check_installed(user: str, package: str, extra: str) -> None:
    """Raises InputError if an optional package, which comes with one of our extras, is not installed.

    Example:
        >>> check_installed("ONNX", "onnxruntime", "onnx")
    """
    # Without an origin it is a mere folder of that name, such as the one that wandb writes.
    if getattr(importlib.util.find_spec(package), "origin", None) is None:
        name = package.replace("_", "-")
        raise InputError(f"{user} needs the package {name}, which is not installed: pip install 'kerascnn[{extra}]'.")


def closest(name: str, known: Iterable[str]) -> str:
    """The tail of an error sentence about an unknown name: the close ones, or all of them.

    Example:
        >>> closest("resnet2O", ["resnet20", "googlenet"])
        'did you mean resnet20?'
    """
    known = sorted(set(known))
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.6)
    # Of equally close names, prefer those with the same first letters.
    near.sort(key=lambda candidate: -_common_start(candidate, name.lower()))
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"known are {', '.join(known)}."


def _common_start(one: str, other: str) -> int:
    return next((place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))


def first_of(names: Sequence[str], most: int = 10) -> str:
    """The first of some names, joined.

    Example:
        >>> first_of(["cat", "dog", "owl"], most=2)
        'cat, dog, …'
    """
    return ", ".join([*names[:most], *("…" for _ in names[most : most + 1])])


def one_line(error: BaseException) -> str:
    """What went wrong, on one line of at most 200 characters, ending in a period."""
    match error:
        case MemoryError():
            text = str(error) or "it needs more memory than there is"
        case RecursionError():
            text = "it is nested too deeply"
        case OSError(strerror=str(strerror)):
            text = strerror
        case KeyError():
            text = f"it lacks {error}"
        case _:
            text = str(error).strip() or type(error).__name__
    # Without the codes for bold letters that Keras writes.
    return " ".join(re.sub(r"\x1b\[\d*m", "", text).split())[:200].rstrip(".") + "."


def phrase(error: BaseException) -> str:
    """As `one_line`, as the end of a sentence: without a period, and the system's words without a capital."""
    words = one_line(error).rstrip(".")
    return words[:1].lower() + words[1:] if isinstance(error, OSError) else words


@contextmanager
def refused(sentence: str, reason_of: Callable[[Exception], str] = one_line) -> Iterator[None]:
    """The boundary for users' files and models: any failure inside is InputError: `sentence`, a colon and the reason.

    Readers and converters of hostile files raise exceptions of any type, so none is listed anywhere. The command line
    shows the traceback with `--debug`; in Python, the exception is the `__context__` of the InputError.

    Example:
        >>> with refused(f"{path} is not a Keras model"):
        ...     model = keras.saving.load_model(path)
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{sentence}: {reason_of(error)}") from None
    except BaseException as error:
        # Libraries written in Rust end like this where they meet what cannot be.
        if type(error).__name__ != "PanicException":
            raise
        raise InputError(f"{sentence}: {one_line(error)}") from None


@contextmanager
def writing(target: object) -> Iterator[None]:
    """Turns an OSError inside the block into InputError: `target`, a file or folder, cannot be written."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{target} cannot be written: {one_line(error)}") from None
