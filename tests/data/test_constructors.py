"""Data sets from arrays, tables and tf.data.Dataset: what is converted, and what is refused."""

import itertools
import re
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from kerascnn import InputError, data
from kerascnn.evaluation import KerasPredictor, evaluate
from support.messages import mentioning
from support.pages import Page

CHANCE = np.random.default_rng(0)
IMAGES = CHANCE.integers(0, 256, (40, 6, 5, 3)).astype(np.uint8)
LABELS = np.arange(40) % 2


def made(images=IMAGES, labels=LABELS, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return data.from_arrays(images, labels, **options)


def pixels_of(loaded):
    """The images of both splits by their labels, in any order."""
    splits = (loaded.training, loaded.validation)
    return sorted((int(y), x.tobytes()) for split in splits for x, y in zip(split.images, split.labels, strict=True))


def test_arrays_are_split_by_their_pixels():
    loaded = made(class_names=("cat", "dog"))
    assert pixels_of(loaded) == sorted((int(y), x.tobytes()) for x, y in zip(IMAGES, LABELS, strict=True))
    assert loaded.class_names == ("cat", "dog") and 0 < len(loaded.validation) < 20
    again = made(IMAGES[::-1], LABELS[::-1])
    assert {x.tobytes() for x in again.validation.images} == {x.tobytes() for x in loaded.validation.images}
    folds = [made(fold=(part, 4)) for part in range(1, 5)]
    assert [fold.counts(fold.validation).tolist() for fold in folds] == [[5, 5]] * 4
    assert len(made(validation_fraction=0.5).validation) > len(loaded.validation)


def test_groups_are_not_divided():
    loaded = made(groups=np.arange(40) // 5)
    number = {image.tobytes(): index // 5 for index, image in enumerate(IMAGES)}
    sides = [{number[image.tobytes()] for image in split.images} for split in (loaded.training, loaded.validation)]
    assert not sides[0] & sides[1] and sides[0] | sides[1] == set(range(8))
    with mentioning(InputError, "40 images", "3 groups"):
        made(groups=[1, 2, 3])


def test_validation_is_taken_as_it_is():
    loaded = made(IMAGES[:30], LABELS[:30], validation=(IMAGES[30:], LABELS[30:]))
    np.testing.assert_array_equal(loaded.validation.images, IMAGES[30:])
    np.testing.assert_array_equal(loaded.training.labels, LABELS[:30])


@pytest.mark.parametrize(
    "labels",
    [
        LABELS[:, None],
        LABELS.astype(object),
        LABELS.astype(float),
        LABELS.astype(np.uint8),
        LABELS.astype(bool),
        LABELS.tolist(),
    ],
    ids=["column", "object", "float", "uint8", "bool", "list"],
)
def test_forms_of_numbers(labels):
    assert pixels_of(made(labels=labels)) == pixels_of(made())


def test_texts_are_classes():
    texts = np.where(LABELS, "dog", "cat")
    for labels in (texts, texts.tolist(), texts.astype(object), texts.astype("S")):
        loaded = made(labels=labels)
        assert loaded.class_names == ("cat", "dog") and pixels_of(loaded) == pixels_of(made())
    accents = np.array(["chat", "h\u00e9ron"])[LABELS]
    for labels in (accents, np.char.encode(accents, "utf-8"), np.char.encode(accents, "utf-8").astype(object)):
        assert made(labels=labels).class_names == ("chat", "h\u00e9ron")
    # The order that is given counts, and so do classes that only some images have.
    assert made(labels=texts, class_names=["dog", "cat"]).class_names == ("dog", "cat")
    loaded = made(IMAGES[:30], texts[:30], validation=(IMAGES[31::2], texts[31::2]))
    assert loaded.validation.labels.tolist() == [1] * 5


def test_one_hot_labels_are_converted_and_said():
    for kind in (float, np.uint8, bool):
        with pytest.warns(UserWarning, match="one-hot labels are converted"):
            loaded = data.from_arrays(IMAGES, np.eye(2)[LABELS].astype(kind))
        assert pixels_of(loaded) == pixels_of(made())


def test_multi_hot_labels_are_multi_label_data():
    rows = np.stack([LABELS, 1 - LABELS, np.ones(40)], axis=1)
    with pytest.warns(UserWarning, match="several classes"):
        loaded = data.from_arrays(IMAGES, rows, class_names=("a", "b", "c"))
    assert loaded.multi_label and loaded.training.labels.dtype == np.uint8
    assert loaded.counts(loaded.training)[2] == len(loaded.training)


def test_pixels_of_other_types():
    assert pixels_of(made(IMAGES.astype(float))) == pixels_of(made())
    assert pixels_of(made(IMAGES.astype(np.int64))) == pixels_of(made())
    assert pixels_of(made(list(IMAGES))) == pixels_of(made())
    assert pixels_of(made([Image.fromarray(image) for image in IMAGES])) == pixels_of(made())
    assert pixels_of(made(np.float32(IMAGES) / 255, scale=255)) == pixels_of(made())
    with pytest.warns(UserWarning, match="rounded"):
        data.from_arrays(IMAGES * 0.7, LABELS)


@pytest.mark.parametrize(
    "options",
    [
        {"scale": "255"}, {"scale": True}, {"scale": (255,)}, {"validation_fraction": "0.2"}, {"groups": 3},
        {"class_names": 2}, {"fold": "1/2"},
    ],
)  # fmt: skip
def test_values_of_another_type_are_refused(options):
    [name] = options
    with mentioning(InputError, name if name != "validation_fraction" else "--val-fraction", repr(options[name])):
        made(**options)


@pytest.mark.parametrize("options", [{"pad": "4"}, {"hue": None}, {"scale": 0.5}, {"resize_range": ("1", "2")}])
def test_augmentations_of_another_type_are_refused(options):
    [name] = options
    with mentioning(InputError, f"augmentation.{name}", repr(options[name])):
        data.Augmentation(**options)


def test_gray_images_have_one_channel():
    for gray in (IMAGES[..., 0], IMAGES[..., :1]):
        assert made(gray).training.images.shape[1:] == (6, 5, 1)


@pytest.mark.parametrize(
    ("images", "parts"),
    [
        (IMAGES / 255, ["0 to 1", "multiply", "scale=255"]),
        (np.float32(IMAGES) / 255, ["scale=255"]),
        (IMAGES // 255, ["0 to 1", "scale=255"]),
        (IMAGES * 0, ["0 to 0", "scale=255"]),
        (IMAGES / 127.5 - 1, ["-1 to 1", "standardized"]),
        (IMAGES.astype(np.uint16) * 16, ["4080", "scale=0.0625"]),
        (np.where(IMAGES > 250, np.nan, IMAGES), ["NaN"]),
        (IMAGES.transpose(0, 3, 1, 2), ["(40, 3, 6, 5)", "transpose(0, 2, 3, 1)"]),
        (np.concatenate([IMAGES, IMAGES[..., :1]], axis=3), ["(40, 6, 5, 4)", "transparency"]),
        (IMAGES[0, 0], ["shape", "(5, 3)"]),
        (IMAGES.reshape(40, -1), ["(40, 90)", "reshape(-1, height, width)"]),
        (IMAGES[:0], ["shape", "(0, 6, 5, 3)"]),
        ([IMAGES[0], IMAGES[0, :3]], ["different shapes", "(6, 5, 3)", "(3, 5, 3)"]),
        (np.array(["a.jpg"] * 40), ["pixels", "from_table"]),
        (IMAGES.astype(complex), ["complex"]),
        (IMAGES[:39], ["39 images", "40 labels"]),
    ],
)
def test_pixels_that_are_refused(images, parts):
    with mentioning(InputError, *parts):
        made(images)


@pytest.mark.parametrize(
    ("labels", "options", "parts"),
    [
        (LABELS + 1, {}, ["from 1 to 2", "subtract 1"]),
        (LABELS + 1, {"class_names": ("a", "b")}, ["from 1 to 2", "0 to 1", "subtract 1"]),
        (LABELS * 3, {"class_names": ("a", "b")}, ["0 to 3", "class_names"]),
        (LABELS - 1, {}, ["-1"]),
        (LABELS * 2, {}, ["1 of 3 classes", "(1)"]),
        (LABELS, {"class_names": ("a", "b", "c")}, ["1 of 3 classes", "(c)"]),
        (LABELS + 0.5, {}, ["whole numbers", "0.5"]),
        (np.where(LABELS, np.nan, 0), {}, ["NaN"]),
        (["a", float("nan")] * 20, {}, ["texts and numbers", "without a label"]),
        (LABELS, {"class_names": {0: "a", 1: "b"}}, ["in the order of their numbers"]),
        (np.eye(2)[LABELS] * 0.8 + 0.1, {}, ["probabilities", "argmax"]),
        (np.eye(2)[LABELS], {"class_names": ("a", "b", "c")}, ["2 columns", "3 classes"]),
        (LABELS[:20], {}, ["40 images", "20 labels"]),
        (np.zeros((40, 2, 2)), {}, ["shape", "(40, 2, 2)"]),
        ([{"class": 1}] * 40, {}, ["numbers or texts"]),
        ([None, "cat"] * 20, {}, ["numbers or texts"]),
        ([[0], [0, 1]] * 20, {}, ["different lengths", "one column per class"]),
        (["cat", "dgo"] * 20, {"class_names": ("cat", "dog")}, ["'dgo'", "dog?"]),
        (["cat", " "] * 20, {}, ["' '"]),
        ([f"image {number}" for number in range(40)], {}, ["40 different", "no classes"]),
        (np.zeros(40, int), {}, ["one class"]),
        (LABELS, {"class_names": ("a", "a")}, ["different"]),
        (LABELS, {"class_names": "ab"}, ["different"]),
        (LABELS, {"scale": 0}, ["scale", "above 0"]),
        (LABELS, {"validation": (IMAGES, LABELS), "fold": (1, 2)}, ["leave out", "fold"]),
        (LABELS, {"validation": IMAGES}, ["pair"]),
        (LABELS, {"validation": (IMAGES / 255, LABELS)}, ["validation images", "scale=255"]),
        (LABELS, {"validation": (IMAGES, LABELS + 1)}, ["validation labels", "1 to 2"]),
    ],
)
def test_labels_that_are_refused(labels, options, parts):
    with mentioning(InputError, *parts), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data.from_arrays(IMAGES, labels, **options)


@pytest.mark.parametrize(
    ("images", "labels", "parts"),
    [
        (IMAGES, LABELS + 1, ["training labels", "1 to 2", "from_arrays"]),
        (IMAGES / 255, LABELS, ["training images", "float64", "from_arrays"]),
        (IMAGES[..., 0], LABELS, ["(40, 6, 5)"]),
        (IMAGES, np.eye(2)[LABELS], ["float64 (40, 2)"]),
        (IMAGES, np.eye(3, dtype=np.uint8)[LABELS], ["3 columns", "2 classes"]),
        (IMAGES, LABELS.tolist(), ["list"]),
        (IMAGES // 255, LABELS, ["0 and 1 only", "255"]),
        (IMAGES[1:], LABELS, ["39 images", "40 labels"]),
    ],
)
def test_a_data_set_is_checked(images, labels, parts):
    examples = data.ArrayExamples(images, labels)
    good = data.ArrayExamples(IMAGES, LABELS)
    with mentioning(InputError, "mine", *parts):
        data.DataSet("mine", "mine", ("a", "b"), examples, good)
    for split in ("validation", "test"):
        with mentioning(InputError, split):
            data.DataSet("mine", "mine", ("a", "b"), **{"training": good, "validation": good, split: examples})


def test_one_hot_bytes_are_no_tags():
    one_hot = data.ArrayExamples(IMAGES, np.eye(2, dtype=np.uint8)[LABELS])
    with mentioning(InputError, "one-hot", "argmax"):
        data.DataSet("mine", "mine", ("a", "b"), one_hot, one_hot)
    tags = data.ArrayExamples(IMAGES, np.ones((40, 2), np.uint8))
    assert data.DataSet("mine", "mine", ("a", "b"), one_hot, tags).multi_label


class Frame:
    """What is used of a DataFrame: its columns, and the values of one."""

    def __init__(self, **columns):
        self.columns, self._values = list(columns), columns

    def __getitem__(self, title):
        return self._values[title]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    (folder / "images").mkdir()
    for number in range(20):
        Image.fromarray(CHANCE.integers(0, 256, (8, 8, 3)).astype(np.uint8)).save(
            folder / "images" / f"{number:03d}.png"
        )
    return folder


FILES = [f"{number:03d}" for number in range(20)]
KINDS = ["nv", "mel"] * 10


def files_of(examples):
    return {path[-7:-4] for path in examples.paths}


def test_a_table_in_memory(photos):
    frame = Frame(image_id=FILES, dx=KINDS, age=list(range(20)))
    loaded = data.from_table(frame, file="image_id", label="dx", folder=photos)
    assert loaded.class_names == ("mel", "nv")
    assert files_of(loaded.training) | files_of(loaded.validation) == set(FILES)
    for examples in (loaded.training, loaded.validation):
        for path, label in zip(examples.paths, examples.labels, strict=True):
            assert loaded.class_names[label] == KINDS[int(path[-7:-4])]
    assert "'dx'" in loaded.layout and "20 of 20" in loaded.layout
    # The same by a mapping, and by full paths from elsewhere.
    full = [str(photos / "images" / f"{name}.png") for name in FILES]
    again = data.from_table({"image_id": full, "dx": KINDS}, file="image_id", label="dx")
    assert files_of(again.validation) == files_of(loaded.validation)


def test_a_table_in_a_file_with_splits_and_groups(photos, tmp_path):
    splits = ["train"] * 12 + ["val"] * 4 + ["test"] * 4
    rows = [f"{name}.png;{kind};{split}" for name, kind, split in zip(FILES, KINDS, splits, strict=True)]
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(["file;dx;part", *rows]))
    loaded = data.from_table(table, file="file", label="DX", split="part", folder=photos)
    assert files_of(loaded.training) == set(FILES[:12]) and files_of(loaded.validation) == set(FILES[12:16])
    assert files_of(loaded.test) == set(FILES[16:])
    patients = [number // 4 for number in range(20)]
    folds = [
        data.from_table(
            Frame(f=FILES, y=KINDS, who=patients), file="f", label="y", group="who", folder=photos, fold=(part, 5)
        )
        for part in range(1, 6)
    ]
    assert sorted(sorted(files_of(fold.validation)) for fold in folds) == [
        FILES[start : start + 4] for start in range(0, 20, 4)
    ]


def test_cells_as_pandas_gives_them(photos):
    # Numbers of a column with a missing value become floats.
    labels = [float(number % 2) for number in range(19)] + [float("nan")]
    loaded = data.from_table(Frame(id=list(range(20)), y=labels), file="id", label="y", folder=photos)
    assert loaded.class_names == ("0", "1") and len(loaded.training) + len(loaded.validation) == 19
    [skipped] = loaded.skipped
    assert (skipped.path, skipped.reason) == ("19", "has no class in table")
    # A blank cell is an empty one, also of the groups.
    labels, groups = ["nv", "mel"] * 9 + [" ", "\xa0"], ["p1", *[" "] * 19]
    frame = Frame(id=list(range(20)), dx=labels, patient=groups)
    loaded = data.from_table(frame, file="id", label="dx", group="patient", folder=photos, validation_fraction=0.5)
    assert loaded.class_names == ("mel", "nv") and {path.path for path in loaded.skipped} == {"18", "19"}
    assert min(len(loaded.training), len(loaded.validation)) > 5


@pytest.mark.parametrize(
    ("columns", "options", "parts"),
    [
        ({}, {"label": "diagnosis"}, ["no column 'diagnosis'", "label", "dx"]),
        ({}, {"file": "images"}, ["no column 'images'", "file"]),
        ({}, {"file": None}, ["file=", "columns f, dx"]),
        ({}, {"label": None}, ["label=", "columns f, dx"]),
        ({"f": [f"x{name}.jpg" for name in FILES]}, {}, ["20 files", "0 found", "'x000.jpg'", "folder="]),
        ({"dx": [0.5 + number for number in range(20)]}, {}, ["'dx'", "20 different values", "no classes"]),
        ({"part": ["train", "later"] * 10}, {"split": "part"}, ["'later'", "train"]),
        ({"part": ["train", None] * 10}, {"split": "part"}, ["10 of the 20 images", "no split"]),
        ({"f": FILES[1:]}, {}, ["19 and 20 rows"]),
        ({"f": ["001"] * 20}, {}, ["two rows that differ", "001"]),
        ({"dx": ["nv"] * 20}, {}, ["one class"]),
    ],
)
def test_tables_that_are_refused(photos, columns, options, parts):
    frame = Frame(**({"f": FILES, "dx": KINDS} | columns))
    with mentioning(InputError, *parts):
        data.from_table(frame, **({"file": "f", "label": "dx", "folder": photos} | options))


def test_titles_of_numbers(photos):
    loaded = data.from_table({0: FILES, 1: KINDS}, file=0, label=1, folder=photos)
    assert len(loaded.training) + len(loaded.validation) == 20


def test_no_table(photos):
    with mentioning(InputError, "missing.csv", "No such file"):
        data.from_table(photos / "missing.csv", file="f", label="y")
    with mentioning(InputError, "DataFrame", "list"):
        data.from_table([("a.png", "cat")], file="f", label="y")
    with mentioning(InputError, "no folder", "elsewhere"):
        data.from_table(Frame(f=FILES, dx=KINDS), file="f", label="dx", folder=photos / "elsewhere")


class Dataset(list):
    """What is used of a tf.data.Dataset: its elements, and what it says about them."""

    element_spec = ()

    def __init__(self, elements, size=None, class_names=None):
        super().__init__(elements)
        self.size = len(elements) if size is None else size
        if class_names:
            self.class_names = class_names

    def cardinality(self):
        return self.size


def pairs(images=IMAGES, labels=LABELS):
    return list(zip(images, labels, strict=True))


def test_datasets():
    single = data.from_dataset(Dataset(pairs()))
    batches = [(np.float32(IMAGES[start : start + 16]), LABELS[start : start + 16]) for start in range(0, 40, 16)]
    batched = data.from_dataset(Dataset(batches, class_names=["cat", "dog"]))
    mappings = data.from_dataset(Dataset([{"image": image, "label": label} for image, label in pairs()]))
    assert pixels_of(single) == pixels_of(batched) == pixels_of(mappings) == pixels_of(made())
    assert batched.class_names == ("cat", "dog")
    own = data.from_dataset(
        Dataset(pairs(IMAGES[:30], LABELS[:30])), validation=Dataset(pairs(IMAGES[30:], LABELS[30:]))
    )
    np.testing.assert_array_equal(own.validation.images, IMAGES[30:])


@pytest.mark.parametrize(
    ("dataset", "parts"),
    [
        (pairs(), ["tf.data.Dataset", "list", "from_arrays"]),
        (Dataset(pairs(), size=-1), ["never ends", "repeat"]),
        (Dataset([]), ["empty"]),
        (Dataset([*pairs(), (IMAGES[0, :3], 0)]), ["(6, 5, 3)", "(3, 5, 3)", "resize"]),
        (Dataset(list(IMAGES)), ["pairs", "ndarray"]),
        (Dataset([(image, label, 1.0) for image, label in pairs()]), ["pairs", "tuple of 3"]),
        (Dataset([{"image": image, "y": label} for image, label in pairs()]), ["pairs", "image, y"]),
        (Dataset(pairs(IMAGES / 255)), ["scale=255"]),
    ],
)
def test_datasets_that_are_refused(dataset, parts):
    with mentioning(InputError, *parts):
        data.from_dataset(dataset)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ((IMAGES, LABELS), "from_arrays(images, labels"),
        (IMAGES, "from_arrays(images, labels"),
        (Frame(file=FILES, label=KINDS), "from_table(table"),
        (Dataset(pairs()), "from_dataset(dataset"),
        (None, "NoneType"),
    ],
)
def test_other_data_name_their_constructor(given, name):
    with mentioning(InputError, name):
        data.load(given)


def test_data_made_in_python_are_not_loaded_by_their_name():
    loaded = made(name="mine")
    with mentioning(InputError, "mine", "--data SOURCE"):
        data.load(loaded.source)
    with mentioning(InputError, "give their source"):
        data.load(loaded)
    with mentioning(InputError, "from_dataset"):
        data.from_arrays(SimpleNamespace(element_spec=()), LABELS)


@pytest.mark.slow
def test_the_metrics_of_a_training_are_those_of_the_separate_validation_images(tmp_path):
    from kerascnn.training import Recipe, train
    from support.tiny_training import tiny_networks

    # 23 images are no whole number of batches, and all are of a class that has another share in training.
    separate = CHANCE.integers(0, 256, (23, 6, 5, 3)).astype(np.uint8)
    texts = ["dog"] * 20 + ["cat"] * 3
    loaded = made(labels=np.where(LABELS, "dog", "cat"), validation=(separate, texts))
    recipe = Recipe.for_model("resnet20").with_values(epochs=2, batch_size=8, image_size=16, precision="float32")
    with tiny_networks():
        run = train(recipe, loaded, runs=tmp_path)
    probabilities = evaluate(KerasPredictor(run.model, run.folder.model_file), loaded).probabilities
    labels = np.array([text == "dog" for text in texts], int)
    last = run.folder.history()[-1]
    assert last["val_top1"] == pytest.approx((probabilities.argmax(axis=1) == labels).mean())
    assert last["val_loss"] == pytest.approx(-np.log(probabilities[np.arange(23), labels]).mean(), rel=1e-3)
    for given, name in (
        ((IMAGES, LABELS), "from_arrays"),
        (Frame(f=[]), "from_table"),
        (Dataset(pairs()), "from_dataset"),
    ):
        with mentioning(InputError, name):
            train(recipe, given, runs=tmp_path)
    with mentioning(InputError, "made in Python", "--data SOURCE"):
        data.load(run.folder.read_recipe()[1])


TABLE = Page("docs/data.md").text.split("| what you have in memory |")[1].splitlines()[2:]
ROWS = dict([cell.strip() for cell in line.strip("|").split(" | ")] for line in itertools.takewhile(str.strip, TABLE))


def direct(images, labels):
    examples = data.ArrayExamples(images, labels)
    return data.DataSet("mine", "mine", ("a", "b"), examples, examples)


def of_frame(folder, files=FILES, kinds=KINDS):
    return data.from_table(Frame(f=files, dx=kinds), file="f", label="dx", folder=folder)


CASES = {
    "labels as numbers from 0, in": lambda photos: data.from_arrays(IMAGES, LABELS[:, None].tolist()),
    "labels as texts": lambda photos: data.from_arrays(IMAGES, ["cat", "dog"] * 20),
    "labels from 1": lambda photos: data.from_arrays(IMAGES, LABELS + 1),
    "labels beyond": lambda photos: data.from_arrays(IMAGES, LABELS * 5, class_names=("a", "b")),
    "labels of 1.5 or NaN": lambda photos: (refused(LABELS + 0.5), refused(np.where(LABELS, np.nan, 0))),
    "a class without": lambda photos: data.from_arrays(IMAGES, LABELS * 2),
    "one-hot labels": lambda photos: data.from_arrays(IMAGES, np.eye(2)[LABELS]),
    "probabilities": lambda photos: data.from_arrays(IMAGES, np.eye(2)[LABELS] * 0.8 + 0.1),
    "rows with several 1": lambda photos: data.from_arrays(IMAGES, np.stack([LABELS, LABELS | 1], axis=1)),
    "more labels": lambda photos: data.from_arrays(IMAGES[:30], LABELS),
    "pixels from 0 to 255": lambda photos: data.from_arrays(IMAGES * 0.7, LABELS),
    "pixels from 0 to 1": lambda photos: data.from_arrays(IMAGES / 255, LABELS),
    "standardized": lambda photos: data.from_arrays(IMAGES / 127.5 - 1, LABELS),
    "pixels of 16 bits": lambda photos: data.from_arrays(IMAGES * np.uint16(257), LABELS),
    "pixels of NaN": lambda photos: data.from_arrays(np.where(IMAGES > 250, np.nan, IMAGES), LABELS),
    "gray images": lambda photos: data.from_arrays(IMAGES[..., 0], LABELS),
    "channels first": lambda photos: data.from_arrays(IMAGES.transpose(0, 3, 1, 2), LABELS),
    "an alpha channel": lambda photos: data.from_arrays(np.repeat(IMAGES[..., :1], 4, axis=3), LABELS),
    "flat rows": lambda photos: data.from_arrays(IMAGES.reshape(40, -1), LABELS),
    "images of several sizes": lambda photos: data.from_arrays([IMAGES[0], IMAGES[0, :3]], LABELS[:2]),
    "`(x, y)`": lambda photos: data.load((IMAGES, LABELS)),
    "a DataFrame for": lambda photos: data.load(Frame(f=FILES)),
    "a `tf.data.Dataset` for `training.train`": lambda photos: data.load(Dataset(pairs())),
    "a DataFrame, a mapping": lambda photos: of_frame(photos),
    "a table whose files": lambda photos: of_frame(photos, files=[f"x{name}" for name in FILES]),
    "two rows of a table": lambda photos: of_frame(photos, files=["001"] * 20),
    "a column with another value": lambda photos: of_frame(photos, kinds=[f"k{number}" for number in range(20)]),
    "a `tf.data.Dataset` for `from_dataset`": lambda photos: data.from_dataset(Dataset(pairs())),
    "one that never ends": lambda photos: data.from_dataset(Dataset(pairs(), size=-1)),
    "one with sample weights": lambda photos: data.from_dataset(Dataset([(*pair, 1.0) for pair in pairs()])),
    "a `DataSet` with labels": lambda photos: direct(IMAGES, LABELS + 1),
    "a `DataSet` of floats": lambda photos: direct(IMAGES / 255, LABELS),
}


def refused(labels):
    with pytest.raises(InputError) as caught:
        data.from_arrays(IMAGES, labels)
    return str(caught.value)


def test_every_row_of_the_page_has_a_case():
    assert len(ROWS) == len(CASES) and all(any(row.startswith(start) for start in CASES) for row in ROWS)


@pytest.mark.parametrize("start", CASES)
def test_what_the_page_says_happens(start, photos):
    [happens] = [text for row, text in ROWS.items() if row.startswith(start)]
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            outcome = CASES[start](photos)
            result = "refused " + " ".join(outcome) if isinstance(outcome, tuple) else "read"
        except InputError as error:
            result = f"refused {error}"
    said = " ".join([result, *(str(warning.message) for warning in warned)])
    assert happens.split()[0].strip(",;:") == result.split()[0]
    for text in re.findall("`([^`]+)`", happens):
        assert text in said or (text == "class_names" and "texts" in start), said
    assert ("warning" in happens) == bool(warned)
