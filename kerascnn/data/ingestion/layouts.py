"""Recognizes how a folder's images are labeled, says so in one line, and refuses to guess."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from os.path import realpath, splitext
from pathlib import Path
from shlex import quote

from kerascnn.data.ingestion.companions import NO_IMAGES, without_companions, without_files_beside, without_other_forms
from kerascnn.data.ingestion.data_options import DataOptions
from kerascnn.data.ingestion.file_tree import ARCHIVE_SUFFIXES, FileTree, may_be_image, walk
from kerascnn.data.ingestion.folder_labels import (
    class_folders,
    file_names,
    first_folders,
    inner_folders,
    is_no_class,
    known_folders,
)
from kerascnn.data.ingestion.folder_names import splits_of
from kerascnn.data.ingestion.label_tables import read_label_tables
from kerascnn.data.ingestion.own_outputs import without_own_outputs
from kerascnn.data.ingestion.published_layouts import read_published
from kerascnn.data.ingestion.reading import LabeledFile, Reading, UndecidedError, listed, quoted, without_twins
from kerascnn.data.ingestion.splits import TEST, TRAINING, VALIDATION
from kerascnn.data.ingestion.tables import TABLE_SUFFIXES
from kerascnn.errors import InputError
from kerascnn.files.archives.archive_entry import SkippedFile

Recognizer = Callable[[FileTree, DataOptions], Reading | None]

AN_ARCHIVE = "an archive, which is not unpacked"

# The place of classes beside folders of splits.
CLASSES = "the folders of classes"


def recognize_layout(
    root: Path, source: str, options: DataOptions = DataOptions(), known_classes: Collection[str] = ()
) -> Reading:
    """Recognizes how the images below a folder are labeled; see `recognize_files`."""
    return recognize_files(walk(root), source, options, known_classes)


def recognize_files(whole: FileTree, source: str, options: DataOptions, known_classes: Collection[str] = ()) -> Reading:
    """Recognizes how the images among the files below a folder are labeled.

    Tried are, in this order, layouts of published data, tables, split folders, one subfolder per class, and file names.
    If a folder has one subfolder and no images, its subfolder is searched. Without options, a folder of `known_classes`
    only, such as those of a model, needs no other evidence.

    The description says where the classes are, how many images have one, what is left out, and how to say otherwise.
    InputError if `source` has no labels, more than one way to read them, or evidence against the only one.
    """
    tree = whole
    if known_classes and not options.to_dict() and (found := known_folders(whole, known_classes)):
        return found
    try:
        tree = _without(replace(whole, ignored=()), options.leave_out)
        tree = without_files_beside(without_own_outputs(tree))
        if options.layout or options.columns:
            found = _first_found(tree, options, NAMED[options.layout or "table"])
        else:
            found = _search(tree, options, RECOGNIZERS)
        if found is None or not found.labeled:
            raise UndecidedError(_no_labels(tree, options))
        if options.labels is None and len({item.is_multi_label for item in found.labeled}) > 1:
            # The tables of some splits have an image of several classes, those of others by chance none.
            return recognize_files(whole, source, replace(options, labels="several"))
        labeled, twins = without_twins(_with_validation(found.labeled, options), options.letter_case)
    except UndecidedError as error:
        raise InputError(f"{source} {error}{_unused_tables(tree, options)}.") from None
    return _described(whole, replace(found, labeled=labeled), twins)


def _without(tree: FileTree, names: Sequence[str]) -> FileTree:
    """The tree without the folders that the user leaves out, by path or name."""
    found = {}
    for name in (name.strip("/") for name in names):
        paths = [path[:-1] for path in tree.all_folders if f"/{path}".endswith(f"/{name}/")]
        if not paths:
            raise UndecidedError(f"has no folder '{name}'; correct or leave out --leave-out {quote(name)}")
        found |= dict.fromkeys(paths, "as --leave-out says")
    return tree.without(found)


def _first_found(tree: FileTree, options: DataOptions, recognize: Recognizer) -> Reading | None:
    """The labels in the folder, or in the only folder in it, and so on."""
    found = recognize(tree, options)
    if (found and found.labeled) or len(tree.folders) != 1:
        return found and _located(found, tree)
    return _first_found(tree.only_folder(), options, recognize)


def _search(tree: FileTree, options: DataOptions, recognizers: Sequence[Recognizer]) -> Reading | None:
    """The labels of a folder, or of the only folder in it, by the first recognizer that finds some."""
    unused: list[SkippedFile] = []
    while True:
        tree = without_other_forms(tree)
        if published := _first_found(tree, options, read_published):
            return published
        if tables := read_label_tables(tree, options):
            if tables.labeled:
                return _located(_with_other_splits(tree, tables, options), tree)
            unused += tables.ignored
        tree = without_companions(tree)
        if not _leads_on(tree):
            break
        tree = tree.only_folder()
    found = next(filter(None, (recognize(tree, options) for recognize in recognizers)), None)
    return found and _located(found, replace(tree, ignored=(*tree.ignored, *unused)))


def _leads_on(tree: FileTree) -> bool:
    """Whether a folder holds nothing but one folder, which is no class."""
    if len(tree.folders) != 1 or any(map(may_be_image, tree.top_files)):
        return False
    inner = tree.subtree(tree.folders[0])
    return bool(inner.folders or inner.other_files or is_no_class(tree, tree.folders[0]) or file_names(inner))


def _located(found: Reading, tree: FileTree) -> Reading:
    where = f"{found.description}, in {tree.base.rstrip('/')}" if tree.base else found.description
    return replace(found, description=where, ignored=(*tree.ignored, *found.ignored))


def _unused_tables(tree: FileTree, options: DataOptions) -> str:
    """Why the tables of a folder are not used, for the end of an error."""
    with suppress(InputError):
        found = read_label_tables(tree, options)
        if found and not found.labeled:
            return "".join(f"; {item.path} is not used: {item.reason}" for item in found.ignored[:2])
    return ""


def _with_other_splits(tree: FileTree, table: Reading, options: DataOptions) -> Reading:
    """Adds the folders of splits that have labels of their own beside those whose images are labeled by a table."""
    splits = splits_of(tree.folders)
    rows = defaultdict(list)
    for item in table.labeled:
        rows[item.path.removeprefix(tree.base).partition("/")[0]].append(item)
    others = [name for name in splits if name not in rows]
    if not rows.keys() <= splits.keys():
        return table
    parts = {name: Reading(table.description, items, from_table=True) for name, items in rows.items()}
    if TRAINING not in splits.values():
        beside = _beside_classes(tree, parts, splits, options)
        how = beside and f"{table.description}; {beside.description}"
        return replace(table, description=how, labeled=beside.labeled) if beside else table
    found = {}
    for name in others:
        own = _search(tree.subtree(name), options, WITHIN_SPLITS)
        if own and (splits[name] == TRAINING or table.classes >= own.classes):
            found[name] = own
    where = f"a table for the images in {listed(list(rows))}"
    lacking = [name for name in others if splits[name] == TRAINING and name not in found]
    if lacking and TRAINING not in {splits[name] for name in rows}:
        raise _unlabeled(f"{where} alone, and none for those", lacking[0])
    used = {splits[name] for name in (*rows, *found)}
    lacking = [name for name in others if splits[name] == VALIDATION and tree.subtree(name).images]
    if lacking and VALIDATION not in used and not options.chooses_validation:
        raise _unlabeled(f"{where}, and none for those", lacking[0])
    if not found:
        return table
    how = "; ".join((table.description, *(reading.description for reading in found.values())))
    found |= parts
    for name in _without_known_classes(found, splits):
        del found[name]
    return replace(table, description=how, labeled=_joined(tree, found, splits, {}).labeled)


def _unlabeled(labeled: str, name: str) -> UndecidedError:
    return UndecidedError(
        f"has labels in {labeled} in {name}; add them, or leave the images out with --leave-out {quote(name)}"
    )


def _split_folders(tree: FileTree, options: DataOptions) -> Reading | None:
    """Folders named for splits, with tables or classes in them."""
    splits = splits_of(tree.folders)
    if not splits:
        return None
    found = {name: reading for name in splits if (reading := _search(tree.subtree(name), options, WITHIN_SPLITS))}
    others = [name for name in tree.folders if name not in splits]
    if others and TRAINING not in splits.values():
        return _beside_classes(tree, found, splits, options)
    _check_splits(splits, found, others if options.layout is None else ())
    left_out = {name: "images without labels" for name in splits if name not in found}
    for name in _without_known_classes(found, splits):
        found.pop(name)
        left_out[name] = "images of none of the classes"
    left_out |= dict.fromkeys(others, "beside the folders of splits")
    return _joined(tree, found, splits, left_out)


def _beside_classes(
    tree: FileTree, found: dict[str, Reading], splits: dict[str, str], options: DataOptions
) -> Reading | None:
    """Folders of classes, and beside them folders for validation or test, which may have the same classes."""
    classes = class_folders(tree.without(dict.fromkeys(splits, "")), options)
    if classes is None:
        return None
    for name, split in splits.items():
        own = found[name].classes if name in found else set()
        if (name not in found and split == VALIDATION) or not own <= classes.classes:
            example = min(item.class_name for item in classes.labeled)
            raise UndecidedError(
                f"has a folder '{name}', which is named for a split, beside folders of classes such as '{example}'; "
                f"--leave-out {quote(name)} leaves it out, --layout folders takes it for a class"
            )
    left_out = {name: "images without labels" for name in splits if name not in found}
    return _joined(tree, {CLASSES: classes, **found}, {CLASSES: TRAINING, **splits}, left_out)


def _check_splits(splits: dict[str, str], found: dict[str, Reading], others: Sequence[str]) -> None:
    """Raises UndecidedError for split folders that may be something else, or lack what they need."""
    folders = defaultdict(list)
    for name in found:
        folders[splits[name]].append(name)
    if others and set(splits.values()) == {TRAINING}:
        name = next(iter(splits))
        raise UndecidedError(
            f"has a folder '{name}', which is named for a split, beside {quoted(others)}; --layout folders takes them "
            f"all for classes, --layout splits takes the images of '{name}' alone"
        )
    if TRAINING not in folders:
        labeled = f"labels in {' and '.join(found)} alone" if found else "no labels in them"
        raise UndecidedError(
            f"has folders for splits ({', '.join(splits)}), and {labeled}; give labels for training images, such as a "
            "table or one folder per class, or one of these folders alone"
        )
    for names in folders.values():
        if len(names) > 1:
            named = " and ".join(f"'{name}'" for name in names)
            raise UndecidedError(f"has {named} for the same split; leave one out with --leave-out {quote(names[0])}")
    lacking = [name for name, split in splits.items() if split == VALIDATION and name not in found]
    if lacking and VALIDATION not in folders:
        raise _unlabeled(f"{folders[TRAINING][0]}, and none for the images", lacking[0])


def _without_known_classes(found: dict[str, Reading], splits: dict[str, str]) -> list[str]:
    """The test folders that have none of the classes, as one with all its images in "unknown"."""
    classes = {name: reading.classes for name, reading in found.items()}
    trained = next(names for name, names in classes.items() if splits[name] == TRAINING)
    others = [name for name, names in classes.items() if not names & trained]
    for name in others:
        if splits[name] == VALIDATION:
            raise UndecidedError(
                f"has none of the classes of training in {name}: {listed(sorted(classes[name]))} instead of "
                f"{listed(sorted(trained))}; --leave-out {quote(name)} leaves it out"
            )
    return others


def _joined(tree: FileTree, found: dict[str, Reading], splits: dict[str, str], left_out: dict[str, str]) -> Reading:
    """The labels of all split folders as one."""
    order = sorted(found, key=lambda name: (TRAINING, VALIDATION, TEST).index(splits[name]))
    readings = [found[name] for name in order]
    given = {name: None if len(found) == 1 else splits[name] for name in order}
    labeled = [item._replace(split=given[name]) for name in order for item in found[name].labeled]
    classes = {name: found[name].classes for name in order}
    everywhere = set.union(*classes.values())
    hows = list(dict.fromkeys(reading.description for reading in readings))
    if readings[0].from_table:
        how = " and ".join(hows)
    else:
        how = f"{hows[0].split(', in ')[0]}, in {' and '.join(order)}" if order != [CLASSES] else hows[0]
    lacking = {name: len(everywhere - own) for name, own in classes.items() if everywhere - own}
    how += "".join(f", {count:,} of the classes not in {name}" for name, count in lacking.items())
    return Reading(
        how,
        labeled,
        (*tree.without(left_out).ignored[len(tree.ignored) :], *(item for one in readings for item in one.ignored)),
        tuple(item for one in readings for item in one.unreadable),
        tuple(item for one in readings for item in one.contradictory),
        any(one.from_table for one in readings),
    )


# What tells the classes of a folder that is not published and has no tables; the first that finds some counts.
WITHIN_SPLITS = (class_folders, file_names)
RECOGNIZERS = (_split_folders, *WITHIN_SPLITS)

# By the names of `--layout`.
NAMED: dict[str, Recognizer] = {
    "published": read_published,
    "table": read_label_tables,
    "splits": _split_folders,
    "folders": first_folders,
    "inner-folders": inner_folders,
    "names": file_names,
}


def _with_validation(labeled: Sequence[LabeledFile], options: DataOptions) -> Sequence[LabeledFile]:
    """Test data replace missing validation data, unless the user chooses these."""
    splits = {item.split for item in labeled}
    if TRAINING not in splits or VALIDATION in splits or options.chooses_validation:
        return labeled
    return [item._replace(split=VALIDATION if item.split == TEST else item.split) for item in labeled]


def _no_labels(tree: FileTree, options: DataOptions) -> str:
    if options.columns:
        option, title = next(iter(options.columns.items()))
        return f"has no table of its files with a column '{title}'; correct or leave out {option}"
    archives = [path for path in tree.other_files if path.lower().endswith(ARCHIVE_SUFFIXES)]
    if archives and not tree.images:
        return f"has no images but archives ({listed(archives)}); unpack them, or give one of them"
    found = f"has no labels for its {len(tree.files):,} files" if tree.files else "has no images"
    return (
        f"{found}; give a folder with one subfolder per class, files named like cat.1.jpg and dog.1.jpg, "
        "or a .csv of files and classes"
    )


def _described(whole: FileTree, found: Reading, twins: str) -> Reading:
    """The result, with every file accounted for."""
    known = {item.path for item in (*found.labeled, *found.unreadable, *found.contradictory, *found.ignored)}
    files = set(whole.files)
    left_out = tuple(f"{item.path}/" for item in found.ignored if item.path not in files)
    rest = [path for path in whole.files if path not in known and not (left_out and path.startswith(left_out))]
    kinds = dict.fromkeys(ARCHIVE_SUFFIXES, AN_ARCHIVE)
    if found.from_table:
        kinds |= dict.fromkeys(TABLE_SUFFIXES, "a table with labels")
    others = [SkippedFile(path, kinds.get(splitext(path)[1].lower(), "has no class")) for path in rest]
    reasons = defaultdict(list)
    for item in dict.fromkeys((*found.ignored, *(item for item in others if item.reason == AN_ARCHIVE))):
        # What is not worth a word, or is named in the line already.
        if item.reason != NO_IMAGES and f" {item.path}: " not in found.description:
            reasons[item.reason].append(item.path)
    named = [f"{listed(paths)} ({reason})" for reason, paths in reasons.items()]
    parts = (
        _evidence(found, [path for path in rest if may_be_image(path)]),
        f"left out: {', '.join(named)}" if named else "",
        _elsewhere(whole),
        twins,
        f"otherwise: {'--label-column, --file-column, ' if found.from_table else ''}--layout or --leave-out",
    )
    ignored = dict.fromkeys((*whole.ignored, *found.ignored, *others))
    return replace(
        found,
        description="; ".join(filter(None, parts)),
        ignored=tuple(sorted(ignored, key=lambda item: item.path)),
        unreadable=(*whole.unreadable, *found.unreadable),
    )


def _elsewhere(whole: FileTree) -> str:
    """Where links lead that do not stay below the folder, with the first as an example."""
    if not whole.elsewhere:
        return ""
    first = whole.elsewhere[0]
    links = "a link leads" if len(whole.elsewhere) == 1 else f"{len(whole.elsewhere):,} links lead"
    return f"{links} out of the folder: {first} to {realpath(whole.root / first)}"


def _evidence(found: Reading, others: Sequence[str]) -> str:
    """Where the classes are, and how many images have one; a table's evidence counts the files that it names."""
    text = found.description
    if not found.from_table:
        images = sum(may_be_image(item.path) for item in found.labeled)
        classes = len({name for item in found.labeled for name in item.classes})
        kinds = "class" if classes == 1 else "classes"
        text += f": {classes:,} {kinds}, {images:,} of {images + len(others):,} images"
    places = Counter(path.rpartition("/")[0] or "no folder" for path in others)
    named = [f"{count:,} in {place}" for place, count in places.most_common()]
    return f"{text}; without a class: {listed(named)}" if named else text
