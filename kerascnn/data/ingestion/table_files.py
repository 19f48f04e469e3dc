"""Decides which column of a table names files, and finds these files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kerascnn.data.ingestion.column_titles import KNOWN_WORDS, NAME_WORDS, is_class_title, quoted, words
from kerascnn.data.ingestion.data_options import DataOptions
from kerascnn.data.ingestion.file_index import FileIndex, Match
from kerascnn.data.ingestion.file_tree import FileTree
from kerascnn.data.ingestion.label_columns import is_number
from kerascnn.data.ingestion.splits import SPLIT_NAMES
from kerascnn.data.ingestion.tables import Rows, is_image, read_rows
from kerascnn.errors import InputError, phrase

# Words of titles of the files' column, and of those that identify rows.
FILE_WORDS = {"file", "filename", "fname", "filepath", "image", "img", "path", "photo", "jpg", "png", "imageid"}
SPLIT_WORDS = {"split", "set", "subset", "partition"}
ID_WORDS = {"id", "name", "key", "uuid", "uid", "identifier"}
TITLE_WORDS = KNOWN_WORDS | FILE_WORDS | ID_WORDS
TEMPLATE_WORDS = {"submission", "template"}
PREDICTION_WORDS = {"pred", "predicted", "prediction"}
# Words of the names of tables that name files for certain.
LABEL_WORDS = {"label", "truth", "groundtruth"}

# Shares of rows that are no rows, such as sums at the end, and of rows with a separator in a cell.
MOST_NARROW, MOST_WIDE = 0.1, 0.01


class UnusedTableError(Exception):
    """A table that labels nothing; the message is a phrase that says why."""


@dataclass(frozen=True)
class Table:
    """A table that names files."""

    name: str  # its path in the source
    titles: tuple[str, ...]  # "column 1" and so on if it has none
    columns: tuple[tuple[str, ...], ...]  # the cells
    file_column: int
    matches: tuple[Match, ...]  # the file of each row
    splits: tuple[str | None, ...]  # of each row, by its column of splits, or the name of the table or of its folder
    split_column: int | None
    others: int  # the number of rows that are left out, because they have another width
    is_sure: bool  # whether titles or cells say that files are named, and not only identifiers

    @property
    def files(self) -> tuple[str, ...]:
        """What the table calls its files."""
        return self.columns[self.file_column]


def read_table(tree: FileTree, path: str, index: FileIndex, options: DataOptions) -> Table:
    """Reads a table below a folder, and finds the files that it names.

    UnusedTableError if it names no files, is no table, or is a template to be filled in; InputError if several columns
    name files, or many rows have another width.
    """
    name, folder = tree.base + path, path[: path.rfind("/") + 1]
    named = set(words(name.rpartition("/")[2]))
    if found := named & (TEMPLATE_WORDS | PREDICTION_WORDS):
        raise UnusedTableError("a template of a submission" if found & TEMPLATE_WORDS else "predictions and no labels")
    split = split_of(path.rpartition("/")[2].rpartition(".")[0]) or split_of(path.rpartition("/")[0])

    def find(cell: str) -> str | None:
        return index.find(cell, folder, split).path

    sample = _read(tree, name, head=True).rows
    titles, body = _titled(sample, find)
    if not body:
        raise UnusedTableError("it has titles only")
    column, is_sure = _file_column(titles, body, find, options, name)
    if path.lower().endswith(".txt") and not (is_sure and len(sample) > 1):
        raise UnusedTableError("it is no table of files")
    rows, narrow, wide = _read(tree, name)
    if narrow > max(2, MOST_NARROW * len(rows)) or wide > MOST_WIDE * len(rows):
        raise InputError(
            f"{name} has {len(rows):,} rows of {len(rows[0])} columns, and {wide or narrow:,} of "
            f"{'more' if wide else 'fewer'}; put cells that have a separator in them in quotes."
        )
    if len(rows[0]) != len(titles):
        raise InputError(f"{name} has {len(titles)} columns in its first rows, and {len(rows[0])} in most; correct it.")
    # Files that were put together have their titles in between.
    columns = tuple(zip(*(row for row in rows[len(sample) - len(body) :] if tuple(row) != titles), strict=True))
    del rows
    split_column, splits = _split_column(name, titles, columns), (split,) * len(columns[0])
    if split_column is not None:
        splits = tuple(SPLIT_NAMES.get(cell.lower()) for cell in columns[split_column])
    matches = tuple(index.find(cell, folder, of) for cell, of in zip(columns[column], splits, strict=True))
    return Table(name, titles, columns, column, matches, splits, split_column, narrow + wide, is_sure)


def split_of(text: str) -> str | None:
    """The one split that a text names: "training" of "train_labels"; None if it names none or several."""
    found = {SPLIT_NAMES[word] for word in words(text) if word in SPLIT_NAMES}
    return found.pop() if len(found) == 1 else None


def _split_column(name: str, titles: Sequence[str], columns: Sequence[Sequence[str]]) -> int | None:
    """The column all of whose values are names of splits."""
    for column, cells in enumerate(columns):
        values = {value.lower() for value in set(cells) if value}
        if values and values <= SPLIT_NAMES.keys():
            return column
        if values & SPLIT_NAMES.keys() and SPLIT_WORDS & set(words(titles[column])):
            unknown = min(values - SPLIT_NAMES.keys())
            raise InputError(
                f"{quoted(titles[column])} of {name} has '{unknown}' beside names of splits; known are "
                f"{', '.join(SPLIT_NAMES)}."
            )
    return None


def unused_splits(table: Table) -> list[str]:
    """What to say of columns named for splits whose values name none, such as 0, 1 and 2."""
    found = []
    for column, title in enumerate(table.titles):
        known = set(words(title))
        is_named = (bool(known) and known <= SPLIT_WORDS) or ("is" in known and SPLIT_NAMES.keys() & known)
        if is_named and column != table.split_column:
            values = sorted(set(table.columns[column]))
            found.append(
                f"{quoted(title)} is no split, as its values are {', '.join(values[:3])}, not train, val or test"
            )
    return found


def column_of(titles: Sequence[str], title: str | None) -> int | None:
    """The column of a title, in any case, or of a number if the columns have no titles; None if there is none."""
    if title is None:
        return None
    wanted = title.strip().lower()
    known = [known.lower() for known in titles]
    return next((known.index(name) for name in (wanted, f"column {wanted}") if name in known), None)


def columns_of(titles: Sequence[str], text: str | None) -> list[int]:
    """The columns of one title, or of several with commas between them; none if one of them is missing."""
    if text is None:
        return []
    one = column_of(titles, text)
    found = [one] if one is not None else [column_of(titles, title) for title in text.split(",")]
    return [] if None in found else list(dict.fromkeys(found))


def _read(tree: FileTree, name: str, *, head: bool = False) -> Rows:
    try:
        found = read_rows(tree.root / name, head=head)
    except OSError as error:
        raise UnusedTableError(f"it cannot be read: {phrase(error)}") from None
    except UnicodeError as error:
        raise UnusedTableError(f"it is {error}") from None
    if not found.rows:
        raise UnusedTableError("it has fewer than two columns")
    return found


def _titled(rows: Sequence[list[str]], find: Callable[[str], str | None]) -> tuple[tuple[str, ...], list[list[str]]]:
    """The titles, and the rows below them; "column 1" and so on if the first row is one of the others."""
    first, body = rows[0], list(rows[1:])
    # "Frontal/Lateral" is a title, "train/cat/1" above others like it is not.
    paths = [any("/" in row[column] for row in body if column < len(row)) for column in range(len(first))]
    plain = [cell for cell, path in zip(first, paths, strict=True) if not is_image(cell) and not ("/" in cell and path)]
    parts = [set(words(cell)) for cell in plain if not is_number(cell)]
    known = any(found and found <= TITLE_WORDS for found in parts) or (
        any(found & TITLE_WORDS for found in parts) and not any(cell and find(cell) for cell in first)
    )
    if len(plain) == len(first) and (known or _differs(first, body, find)):
        return tuple(cell or f"column {number}" for number, cell in enumerate(first, 1)), body
    return tuple(f"column {number}" for number in range(1, len(first) + 1)), list(rows)


def _differs(first: Sequence[str], body: Sequence[Sequence[str]], find: Callable[[str], str | None]) -> bool:
    """Whether a row is not like those below: it names no file where they do, and none of its cells appears again."""
    if not body or any(cell and find(cell) for cell in first):
        return False
    columns = list(zip(*body, strict=True))
    if any(cell in cells or is_number(cell) for cell, cells in zip(first, columns, strict=True)):
        return False
    return any(2 * sum(is_image(cell) or bool(find(cell)) for cell in cells) > len(cells) for cells in columns)


def _file_column(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    find: Callable[[str], str | None],
    options: DataOptions,
    name: str,
) -> tuple[int, bool]:
    """The column with the most different files that are there, or that looks like files; and whether it is sure."""
    if options.file_column is not None:
        column = column_of(titles, options.file_column)
        if column is None:
            raise UnusedTableError(f"it has no column '{options.file_column}', but {', '.join(titles)}")
        return column, True
    columns = [tuple(cells) for cells in zip(*rows, strict=True)]
    if not columns:
        raise UnusedTableError("it has no rows")
    hits = [{cell: path for cell in set(cells) if cell and (path := find(cell))} for cells in columns]
    shown = [2 * sum(map(is_image, cells)) >= len(cells) for cells in columns]
    said = [_says_file(title) if any(cells) else 0 for title, cells in zip(titles, columns, strict=True)]
    best = max(range(len(columns)), key=lambda column: (len(set(hits[column].values())), shown[column], said[column]))
    if hits[best]:
        rivals = [column for column in range(len(columns)) if _is_rival(columns, hits, column, best)]
        ranked = sorted((best, *rivals), key=lambda column: (shown[column], said[column]), reverse=True)
        best = ranked[0]
        equal = [column for column in ranked if (shown[column], said[column]) == (shown[best], said[best])]
        if len(equal) > 1:
            found = " and ".join(quoted(titles[column]) for column in equal)
            raise InputError(f"{name} names different files in {found}; choose one with --file-column.")
        return best, bool(shown[best] or said[best] > 1 or 2 * len(hits[best]) > len(set(columns[best])))
    best = max(range(len(columns)), key=lambda column: (shown[column], said[column]))
    has_classes = any(map(is_class_title, titles))
    unique = [column for column, cells in enumerate(columns) if len(set(cells)) == len(cells)]
    if not shown[best] and not said[best] and unique and LABEL_WORDS & set(words(name.rpartition("/")[2])):
        return unique[0], True
    if not (shown[best] or (said[best] > 1 and not name.lower().endswith(".txt")) or (said[best] and has_classes)):
        raise UnusedTableError("it names no files that are here")
    return best, shown[best] or said[best] > 1


def _says_file(title: str) -> int:
    """2 if a title says that its column names files, 1 if it names identifiers."""
    found = set(words(title))
    if found & FILE_WORDS and found <= FILE_WORDS | ID_WORDS | NAME_WORDS:
        return 2
    return int(bool(found & ID_WORDS) and found <= ID_WORDS | NAME_WORDS)


def _is_rival(columns: Sequence[Sequence[str]], hits: Sequence[dict[str, str]], column: int, best: int) -> bool:
    """Whether a column names nearly as many files as the best one, and others in the same rows."""
    values, most = len(set(columns[column])), len(set(columns[best]))
    if column == best or values < 0.9 * most or 2 * len(hits[column]) < len(hits[best]):
        return False
    pairs = zip(columns[column], columns[best], strict=True)
    return any(
        one in hits[column] and other in hits[best] and hits[column][one] != hits[best][other] for one, other in pairs
    )
