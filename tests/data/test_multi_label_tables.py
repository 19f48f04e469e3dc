"""Tables whose images have any number of classes: joined tags, columns of 0 and 1, several rows per image."""

import csv
import itertools
import json

import numpy as np
import pytest
from PIL import Image

from kerascnn import InputError, data
from kerascnn.data import DataOptions
from support.messages import mentioning

TAGS = ("fog", "sea", "sun")
# Every combination of the three, five times.
ROWS = np.array(list(itertools.product((0, 1), repeat=3)) * 5)


@pytest.fixture
def folder(tmp_path):
    """Makes a folder of the images of a table's first column, and the table."""

    def make(titles, rows, name="train.csv"):
        images = tmp_path / "photos" / "images"
        images.mkdir(parents=True, exist_ok=True)
        for number, stem in enumerate(dict.fromkeys(row[0] for row in rows)):
            Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(images / f"{stem}.png")
        with (tmp_path / "photos" / name).open("w", newline="") as file:
            csv.writer(file).writerows([titles, *rows])
        return tmp_path / "photos"

    return make


def joined(separator, row):
    return separator.join(name for name, present in zip(TAGS, row, strict=True) if present)


def rows_of(write):
    return [[f"image{number:02}", *write(row)] for number, row in enumerate(ROWS)]


def labels_by_name(loaded):
    """The multi-hot labels of all images by their stems."""
    pairs = (
        (path.rpartition("/")[2].removesuffix(".png"), row.tolist())
        for examples in (loaded.training, loaded.validation)
        for path, row in zip(examples.paths, examples.labels, strict=True)
    )
    return dict(pairs)


def expected(with_empty):
    return {f"image{number:02}": row.tolist() for number, row in enumerate(ROWS) if row.any() or with_empty}


@pytest.mark.parametrize("separator", [" ", ",", ", ", "|", ";", "+", " / ", " & ", " and "])
def test_joined_tags(folder, separator):
    loaded = data.load(folder(["image", "tags"], rows_of(lambda row: [joined(separator, row)])))
    assert (loaded.multi_label, loaded.class_names) == (True, TAGS)
    assert loaded.layout.startswith(
        "tags from column 'tags' of train.csv: 3 tags, 1.7 per image, 40 of 40 images found"
    )
    assert "--labels-per-image one" in loaded.layout
    # An empty cell does not say that an image has no tags.
    assert labels_by_name(loaded) == expected(with_empty=False)
    assert "5 without a class" in loaded.layout


@pytest.mark.parametrize(
    "write", [str, lambda bit: "1" if bit else "", bool, lambda bit: 2 * bit - 1, lambda bit: "x" * bit]
)
def test_columns_of_zeros_and_ones(folder, write):
    loaded = data.load(folder(["image", *TAGS], rows_of(lambda row: [write(bit) for bit in row])))
    assert (loaded.multi_label, loaded.class_names) == (True, TAGS)
    assert "tags from 3 columns of 0 and 1 (fog, sea, sun) of train.csv: 3 tags, 1.5 per image" in loaded.layout
    assert "5 have none of them" in loaded.layout
    assert labels_by_name(loaded) == expected(with_empty=True)


@pytest.mark.parametrize(
    "names",
    [
        ("red apple", "green apple", "red pepper", "green pepper"),
        ("golden retriever", "black swan", "poodle"),
        ("Pepper, bell: healthy", "Pepper, bell: spots"),
        ("T-shirt/top", "trousers", "ankle boot"),
    ],
)
def test_names_of_several_words_are_one_class(folder, names):
    rows = [[f"image{number:02}", names[number % len(names)]] for number in range(24)]
    loaded = data.load(folder(["image", "label"], rows))
    assert (loaded.multi_label, loaded.class_names) == (False, tuple(sorted(names)))


def test_several_columns_of_names(folder):
    rows = rows_of(lambda row: [*joined(" ", row).split(), "", ""][:2])
    source = folder(["image", "tag1", "tag2"], [row for row in rows if row[1]])
    with mentioning(InputError, "'tag1', 'tag2'", "--label-column 'tag1,tag2'"):
        data.load(source)
    loaded = data.load(source, options=DataOptions(label_column="tag1,tag2"))
    assert loaded.class_names == TAGS
    assert labels_by_name(loaded)["image03"] == [0, 1, 1]


def test_uncertain_findings(folder):
    """As CheXpert has them: titles with slashes, columns about the patient, -1 for uncertain and nothing for no."""
    titles = ["Path", "Sex", "Age", "Frontal/Lateral", *TAGS]
    bits = ("", "1.0", "0.0", "-1.0")
    rows = [
        [f"image{n:02}", "MF"[n % 2], 40 + n, ("Frontal", "Lateral")[n % 2], bits[n % 4], bits[n // 4 % 4], bits[n % 3]]
        for n in range(48)
    ]
    loaded = data.load(folder(titles, rows))
    assert "tags from 3 columns of 0 and 1 (fog, sea, sun), -1 as 0, of train.csv" in loaded.layout
    found = labels_by_name(loaded)
    assert [found[f"image{n:02}"] for n in (1, 3, 5)] == [[1, 0, 1], [0, 0, 0], [1, 1, 0]]


def test_a_list_in_a_cell(folder):
    loaded = data.load(folder(["image", "labels"], rows_of(lambda row: [str(joined(" ", row).split())])))
    assert labels_by_name(loaded) == expected(with_empty=False)


def test_combinations_are_classes_where_the_user_says_so(folder):
    one = DataOptions(labels="one")
    source = folder(["image", "tags"], rows_of(lambda row: [joined(" ", row)]))
    loaded = data.load(source, options=one)
    assert not loaded.multi_label
    assert loaded.class_names == ("fog", "fog sea", "fog sea sun", "fog sun", "sea", "sea sun", "sun")
    loaded = data.load(folder(["image", *TAGS], rows_of(list)), options=one)
    assert loaded.class_names[:3] == ("fog", "fog + sea", "fog + sea + sun")


def test_several_rows_per_image_need_a_word_of_the_user(folder):
    rows = [[f"image{n:02}", name] for n, row in enumerate(ROWS) for name in joined(" ", row).split()]
    source = folder(["image", "label"], rows)
    with mentioning(InputError, "train.csv", "several classes per image", "--labels-per-image several"):
        data.load(source)
    assert labels_by_name(data.load(source, options=DataOptions(labels="several"))) == expected(with_empty=False)


def test_the_user_chooses_columns(folder):
    source = folder(["image", *TAGS], rows_of(list))
    loaded = data.load(source, options=DataOptions(label_column="sun,fog"))
    assert loaded.class_names == ("fog", "sun")
    with mentioning(InputError, "'sun,moon'", "--label-column", "fog"):
        data.load(source, options=DataOptions(label_column="sun,moon"))


def test_exclusive_columns_among_others_are_not_guessed(folder):
    rows = [[*row, row[1], 1 - row[1]] for row in rows_of(list)]
    source = folder(["image", *TAGS, "indoor", "outdoor"], rows)
    with mentioning(InputError, "train.csv", "--label-column 'indoor,outdoor'", "'fog,sea,sun,indoor,outdoor'"):
        data.load(source)


def test_one_class_in_every_row_stays_single_label(folder):
    rows = [[f"image{number:02}", TAGS[number % 3]] for number in range(30)]
    source = folder(["image", "tags"], rows)
    assert not data.load(source).multi_label
    assert data.load(source, options=DataOptions(labels="several")).multi_label
    with mentioning(InputError, "--labels-per-image", "one", "several", "'many'"):
        DataOptions(labels="many")


def test_a_split_whose_images_have_one_tag_each_follows_the_others(tmp_path):
    for split, rows in (("train", ROWS), ("valid", ROWS[[1, 2, 4]])):
        (tmp_path / "export" / split).mkdir(parents=True)
        for number in range(len(rows)):
            image = Image.fromarray(np.full((8, 8, 3), number + 100 * (split == "valid"), np.uint8))
            image.save(tmp_path / "export" / split / f"{number}.jpg")
        lines = [[f"{number}.jpg", *row] for number, row in enumerate(rows.tolist())]
        with (tmp_path / "export" / split / "_classes.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["filename", *TAGS], *lines])
    loaded = data.load(tmp_path / "export")
    assert (len(loaded.training), len(loaded.validation)) == (40, 3)
    np.testing.assert_array_equal(loaded.validation.labels, ROWS[[1, 2, 4]])


def test_the_manifest_lists_the_classes_of_a_file(folder, tmp_path):
    source = folder(["image", "tags"], rows_of(lambda row: [joined(" ", row)]))
    found = data.ingest(source, to=tmp_path / "checked")
    lines = [json.loads(line) for line in found.manifest.read_text().splitlines()[1:]]
    assert {tuple(line["class_name"]) for line in lines if line["path"].endswith("image03.png")} == {("sea", "sun")}
    again = data.ingest(source, to=tmp_path / "checked").data
    np.testing.assert_array_equal(again.training.labels, found.data.training.labels)


def test_classes_without_training_images_are_left_out(folder):
    splits = ["val" if row[0] else "train" for row in ROWS]
    rows = [[*row, split] for row, split in zip(rows_of(list), splits, strict=True)]
    loaded = data.load(folder(["image", *TAGS, "split"], rows))
    assert loaded.class_names == ("sea", "sun")
    np.testing.assert_array_equal(loaded.validation.labels, ROWS[ROWS[:, 0] == 1][:, 1:])


def test_tables_in_python(folder):
    source = folder(["image", "tags"], [])
    names = [f"image{number:02}" for number in range(len(ROWS))]
    for number, name in enumerate(names):
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(source / "images" / f"{name}.png")
    table = {"image": names, "tags": [joined(" ", row) for row in ROWS], **dict(zip(TAGS, ROWS.T, strict=True))}
    tagged = data.from_table(table, file="image", label="tags", folder=source)
    assert labels_by_name(tagged) == expected(with_empty=False)
    assert tagged.layout.startswith("tags from column 'tags' of table: 3 tags, 1.7 per image, 35 of 40 images found")
    columns = data.from_table(table, file="image", label=TAGS, folder=source)
    assert labels_by_name(columns) == expected(with_empty=True)
    one = data.from_table(table, file="image", label="tags", labels="one", folder=source)
    assert one.class_names[:2] == ("fog", "fog sea")
    with mentioning(InputError, "'image'", "0 and 1"):
        data.from_table(table, file="image", label=["fog", "image"], folder=source)


@pytest.mark.filterwarnings("ignore:arrays. images have several classes")
def test_arrays_in_python():
    images = np.arange(len(ROWS) * 48).reshape(-1, 4, 4, 3).astype(np.uint8)
    hot = data.from_arrays(images, ROWS, class_names=TAGS)
    assert hot.multi_label and len(hot.training) + len(hot.validation) == len(ROWS)
    texts = data.from_arrays(images, [joined(" ", row).split() for row in ROWS])
    np.testing.assert_array_equal(texts.training.labels, hot.training.labels)
    held_out = data.from_arrays(images, ROWS, class_names=TAGS, validation=(images[:3], np.eye(3)))
    np.testing.assert_array_equal(held_out.validation.labels, np.eye(3))
    with mentioning(InputError, "validation labels", "several classes"):
        data.from_arrays(images, np.arange(len(ROWS)) % 3, validation=(images, ROWS))
