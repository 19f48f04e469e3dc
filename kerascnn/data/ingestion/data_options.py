"""The choices of a user about a source: the columns of its tables, and which images are held out."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from kerascnn.errors import InputError, closest, is_real
from kerascnn.files.secret_urls import concealed

MAX_FRACTION = 0.9

# Classes per image, as --labels-per-image names it.
LABELS = ("one", "several")
LETTER_CASES = ("merge", "keep")

# How images are labeled, as --layout names it, and where the class is.
LAYOUTS = {
    "published": "a data set as its authors publish it",
    "table": "a column of a table",
    "splits": "below folders such as train and val",
    "folders": "the first folder of a path",
    "inner-folders": "the folder that holds the image",
    "names": "the file's name",
}


@dataclass(frozen=True)
class DataOptions:
    """What the user says about a source; the default leaves everything to what is recognized.

    Attributes:
        label_column, file_column: titles of the columns with the classes and the files of a table; None to recognize
            them. Several label columns, with commas between their titles, have a 1 for each class of the image.
        labels: "one", an image has one class, and several in a table are one combination; "several", an image has all
            classes of its rows; None to recognize it.
        group_column: title of a column whose equal values are never divided among splits, such as the patient.
        validation_source: another source, all of whose images are the validation images.
        validation_fraction: the share of the images that is held out for validation, above 0 and at most 0.9; None for
            the source's own validation images, or a fifth.
        fold: (k, n) holds out the k-th of n parts of the images, counted from 1.
        layout: how the images are labeled, one of `LAYOUTS`; None to recognize it.
        leave_out: folders that have no part in the data, by their path below the source or by their name.
        letter_case: whether class names that differ in case alone are one class ("merge") or several ("keep"); None
            for an error where there are such names.

    Raises:
        InputError: a value outside its range, or two ways to choose the validation images.

    Example:
        >>> DataOptions(label_column="dx", group_column="lesion_id", fold=(2, 5))
    """

    label_column: str | None = None
    file_column: str | None = None
    group_column: str | None = None
    validation_source: str | None = None
    validation_fraction: float | None = None
    fold: tuple[int, int] | None = None
    layout: str | None = None
    leave_out: tuple[str, ...] = ()
    letter_case: str | None = None
    labels: str | None = None

    def __post_init__(self):
        for name in ("label_column", "file_column", "group_column", "validation_source"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, str) and value.strip()):
                raise InputError(f"{OPTIONS[name]} must not be empty, and is {value!r}.")
        if self.validation_source:
            object.__setattr__(self, "validation_source", concealed(self.validation_source))
        if len(self.validation_options) > 1:
            raise InputError(
                f"{' and '.join(self.validation_options)} both choose the validation images; leave out one of them."
            )
        if isinstance(self.leave_out, str):
            raise InputError(f"leave_out must be several names, such as ('{self.leave_out}',), not a text.")
        if not (isinstance(self.leave_out, tuple | list) and all(isinstance(name, str) for name in self.leave_out)):
            raise InputError(f"leave_out must be names of folders, not {self.leave_out!r}.")
        if self.layout not in (None, *LAYOUTS):
            raise InputError(f"there is no layout '{self.layout}'; {closest(str(self.layout), LAYOUTS)}")
        for name, allowed in (("letter_case", LETTER_CASES), ("labels", LABELS)):
            if getattr(self, name) not in (None, *allowed):
                raise InputError(f"{OPTIONS[name]} must be {' or '.join(allowed)}, not '{getattr(self, name)}'.")
        fraction = self.validation_fraction
        if fraction is not None and not (is_real(fraction) and 0 < fraction <= MAX_FRACTION):
            raise InputError(f"--val-fraction must be above 0 and at most {MAX_FRACTION}, not {fraction!r}.")
        if self.fold is not None:
            if not isinstance(self.fold, tuple) or [type(one) for one in self.fold] != [int, int]:
                raise InputError(f"fold must be two whole numbers, such as (2, 5), not {self.fold!r}.")
            part, parts = self.fold
            if not 1 <= part <= parts or parts < 2:
                raise InputError(
                    f"--fold must be a part and a number of at least 2 parts, such as 2/5, not {part}/{parts}."
                )

    @property
    def validation_options(self) -> list[str]:
        """The option that chooses the validation images, if any."""
        return [OPTIONS[name] for name in VALIDATION_FIELDS if getattr(self, name) is not None]

    @property
    def chooses_validation(self) -> bool:
        """Whether the validation images are chosen here, and not by the source."""
        return bool(self.validation_options)

    @property
    def columns(self) -> dict[str, str]:
        """The columns of the table that labels the images, by the option that names them."""
        names = ("label_column", "file_column")
        return {OPTIONS[name]: value for name in names if (value := getattr(self, name)) is not None}

    def updated(self, other: Self) -> Self:
        """What the other options give, and these where they give nothing; of validation images one choice remains.

        Example:
            >>> DataOptions(label_column="dx", fold=(2, 5)).updated(DataOptions(validation_fraction=0.1)).to_dict()
            {'label_column': 'dx', 'validation_fraction': 0.1}
        """
        before = replace(self, **dict.fromkeys(VALIDATION_FIELDS)) if other.chooses_validation else self
        return replace(before, **{name: value for name, value in vars(other).items() if value not in (None, ())})

    def to_dict(self) -> dict[str, Any]:
        """The values that are given, as YAML or JSON holds them."""
        given = {name: value for name, value in vars(self).items() if value not in (None, ())}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}

    def to_command_line(self) -> list[str]:
        """The options of the command line that say the same.

        Example:
            >>> DataOptions(label_column="dx", fold=(2, 5)).to_command_line()
            ['--label-column', 'dx', '--fold', '2/5']
        """
        texts = {name: [str(value)] for name, value in self.to_dict().items()}
        texts |= {"fold": ["/".join(map(str, self.fold))]} if self.fold else {}
        texts |= {"leave_out": self.leave_out} if self.leave_out else {}
        return [part for name, values in texts.items() for value in values for part in (OPTIONS[name], value)]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Reads the plain values that YAML or JSON holds; InputError names an unknown one."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise InputError(f"unknown option of the data '{unknown[0]}'; known are {', '.join(sorted(known))}.")
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


VALIDATION_FIELDS = ("validation_source", "validation_fraction", "fold")

# The options of the command line, by which errors name the fields.
OPTIONS = {
    "label_column": "--label-column",
    "labels": "--labels-per-image",
    "file_column": "--file-column",
    "group_column": "--group-column",
    "validation_source": "--val-data",
    "validation_fraction": "--val-fraction",
    "fold": "--fold",
    "layout": "--layout",
    "leave_out": "--leave-out",
    "letter_case": "--letter-case",
}
