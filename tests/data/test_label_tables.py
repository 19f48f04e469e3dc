"""Tables of labels as people have them: which column, which files, which tables; and what is refused.

Files are empty: tables are read by names and cells alone. Every table has twelve rows, in three classes of four.
"""

import random
import re
import time

import pytest

from kerascnn import InputError
from kerascnn.data import DataOptions
from kerascnn.data.ingestion.column_titles import is_class_title
from kerascnn.data.ingestion.file_index import FileIndex
from kerascnn.data.ingestion.file_tree import FileTree, walk
from kerascnn.data.ingestion.label_columns import tag_separator
from kerascnn.data.ingestion.label_tables import read_label_tables
from kerascnn.data.ingestion.layouts import recognize_layout
from kerascnn.data.ingestion.tables import read_rows
from support.folders import lay_out
from support.messages import mentioning, names

ROWS = range(12)
CLASSES = ("cat", "dog", "fox")
IMAGES = tuple(f"im{row}.jpg" for row in ROWS)

# What tables have in their columns, by the number of the row.
COLUMNS = {
    "file": lambda row: f"im{row}.jpg",
    "stem": lambda row: f"im{row}",
    "class": lambda row: CLASSES[row % 3],
    "number": lambda row: row % 3,
    "other": lambda row: CLASSES[row // 2 % 3],
    "how": lambda row: ("by eye", "by test")[row % 2],
    "group": lambda row: f"patient {row // 2}",
    "age": lambda row: 40 + 5 * row,
    "flag": lambda row: row // 3 % 2,
    "one": lambda row: 1,
    "width": lambda row: (640, 800)[row % 2],
    "score": lambda row: row / 7,
    "share": lambda row: 0.333,
    "url": lambda row: f"https://example.org/im{row}.jpg?size=2",
    "text": lambda row: f"a photo of a {CLASSES[row % 3]} that sits in a field, number {row}",
    **{kind: lambda row, kind=kind: float(CLASSES[row % 3] == kind) for kind in CLASSES},
}


def table(header, rows=ROWS, separator=","):
    """A table with columns "title=what", what being one of `COLUMNS`; a column "what" is one of that title."""
    columns = [column.rpartition("=") for column in header.split(",")]
    lines = [separator.join(title or what for title, _, what in columns)]
    lines += [separator.join(str(COLUMNS[what](row)) for *_, what in columns) for row in rows]
    return "\n".join(lines) + "\n"


def read(folder, **options):
    return read_label_tables(walk(folder), DataOptions(**options))


def classes(found):
    return {item.path: item.class_name for item in found.labeled}


def splits(found):
    return {item.path: item.split for item in found.labeled}


def ignored(found):
    return {item.path: item.reason for item in found.ignored}


BY_CLASS = {f"im{row}.jpg": CLASSES[row % 3] for row in ROWS}


@pytest.mark.parametrize(
    ("header", "column"),
    [
        ("file,class", "'class'"),
        ("id=stem,breed=class", "'breed'"),
        # The metadata of HAM10000, in any order.
        ("lesion_id=group,image_id=stem,dx=class,dx_type=how,age,sex=other,localization=flag", "'dx'"),
        ("localization=other,sex=flag,age,dx_type=how,dx=class,image_id=stem,lesion_id=group", "'dx'"),
        ("fname=file,width,height=width,quality=flag,kind=class", "'kind'"),
        ("label_confidence=flag,image_width=width,url,is_cropped=flag,file,Class Name=class", "'Class Name'"),
        ("Width=width,Height=age,Roi.X1=flag,ClassId=number,Path=file", "'ClassId'"),
        ("class id=number,filepaths=file,labels=class,scientific name=class", "'labels'"),
        ("file,label=number,label_name=class", "'label_name'"),
        ("file,target=number,animal=class", "'animal'"),
        ("file,category_id=number,x=width,y=age", "'category_id'"),
        ("file,y=class,label_source=how", "'y'"),
        ("file,Kategorie=class,width", "'Kategorie'"),
        ("id_code=stem,diagnosis=number", "'diagnosis'"),
        # No known title: the only column of names that repeat, or of numbers that count.
        ("image=file,emotion=number,age,width", "'emotion'"),
        ("file,what=class,width,score,text", "'what'"),
        ("id=stem,has_cactus=flag", None),
        # One column per class.
        ("image=stem,cat,dog,fox", "3 one-hot columns (cat, dog, fox)"),
        ("age,cat,dog,fox,image=file,width", "3 one-hot columns (cat, dog, fox)"),
        ("file,type_a=cat,type_b=dog,type_c=fox,flag,one", None),
        ("file,label=class,cat,dog,fox", "'label'"),
    ],
)
def test_the_column_of_classes(tmp_path, header, column):
    found = read(lay_out(tmp_path, *IMAGES, labels=table(header)))
    names(found.description, column or "labels.csv", "12 of 12 images found")
    partition = {}
    for path, name in classes(found).items():
        partition.setdefault(name, set()).add(path)
    expected = "flag" if "has_cactus" in header else "class"
    same = {}
    for row in ROWS:
        same.setdefault(COLUMNS[expected](row), set()).add(f"im{row}.jpg")
    assert sorted(map(sorted, partition.values())) == sorted(map(sorted, same.values()))
    assert f"{len(same)} classes" in found.description


@pytest.mark.parametrize("title", ["labels", "CLASS", "class_name", "categoryId", "species", "imagelabel", "Tags"])
def test_titles_of_classes(title):
    assert is_class_title(title)


@pytest.mark.parametrize(
    "title", ["label_confidence", "image_width", "classifier", "dx_type", "image_type", "datatype"]
)
def test_titles_of_other_columns(title):
    assert not is_class_title(title)


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ("file,species=flag,breed=class", ("'species'", "'breed'")),
        ("file,label=class,kind=other", ("'label'", "'kind'")),
        ("file,color=class,shape=other,width", ("'color'", "'shape'")),
        ("file,label=other,cat,dog,fox", ("'label'", "one-hot", "cat, dog, fox")),
    ],
)
def test_several_candidates_are_refused_and_named(tmp_path, header, named):
    lay_out(tmp_path, *IMAGES, labels=table(header))
    with mentioning(InputError, "labels.csv", *named, "--label-column"):
        read(tmp_path)
    title = named[0].strip("'")
    assert len(classes(read(tmp_path, label_column=title.upper()))) == 12


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("file,width,height=width", "classes"),
        ("file,partition=number", "classes"),
        ("file,x_1=width,y_1=flag", "classes"),
        ("file,score", "classes"),
        ("file,label=one,sex=flag", "'label' has one value"),
        ("file,text", "classes"),
        ("file,label=age", "another value in every row"),
        ("epoch=number,loss=score", "no files"),
        ("label=class,pixel0=width,pixel1=age", "no files"),
    ],
)
def test_tables_without_classes_are_ignored_and_named(tmp_path, header, reason):
    found = read(lay_out(tmp_path, *IMAGES, other=table(header)))
    assert not found.labeled
    assert [item.path for item in found.ignored] == ["other.csv"]
    names(found.ignored[0].reason, reason)


@pytest.mark.parametrize(
    "cells",
    [
        ("haze primary", "clear primary", "clear", "cloudy"),
        ('"cat,indoor"', '"dog,indoor"', "cat"),
        ("Effusion|Mass", "Mass", "No Finding"),
        ("['cat', 'indoor']", "['dog']", "['cat']"),
        ("0 16", "16", "3 0 7", "7"),
    ],
)
def test_joined_tags_are_several_classes(tmp_path, cells):
    rows = "".join(f"im{row}.jpg;{cells[row % len(cells)]}\n" for row in ROWS)
    found = read(lay_out(tmp_path, *IMAGES, labels=f"file;tags\n{rows}"))
    names(found.description, "tags from column 'tags' of labels.csv", "12 of 12 images found")
    assert all(item.is_multi_label for item in found.labeled)
    assert max(len(item.classes) for item in found.labeled) in (2, 3)


def test_columns_of_several_classes_are_read_and_rows_refused(tmp_path):
    lay_out(tmp_path, *IMAGES, labels=table("file,cat,dog,big=flag"))
    found = read(tmp_path)
    names(found.description, "tags from 3 columns of 0 and 1 (cat, dog, big)")
    assert classes(found)["im3.jpg"] == ("cat", "big")
    lay_out(tmp_path, labels=table("file,label=class") + "".join(table("file,label=other").splitlines(True)[1:]))
    with mentioning(InputError, "several classes per image", "im1.jpg", "--labels-per-image several"):
        read(tmp_path)


def test_names_of_several_words_are_one_class():
    dogs = {"golden retriever", "labrador retriever", "german shepherd", "poodle"}
    assert tag_separator("label", dogs) == (None, True)
    fish = {"tench, Tinca tinca", "goldfish, Carassius auratus", "great white shark"}
    assert tag_separator("label", fish) == (None, True)


def test_words_that_may_be_classes_need_a_word_of_the_user(tmp_path):
    cells = ("tomato healthy", "tomato late blight", "potato healthy", "potato late blight")
    rows = "".join(f"im{row}.jpg,{cells[row % 4]}\n" for row in ROWS)
    lay_out(tmp_path, *IMAGES, labels=f"file,label\n{rows}")
    with mentioning(
        InputError,
        "labels.csv",
        "column 'label'",
        "tomato healthy",
        "--labels-per-image one",
        "--labels-per-image several",
    ):
        read(tmp_path)
    assert set(classes(read(tmp_path, labels="one")).values()) == set(cells)
    assert classes(read(tmp_path, labels="several"))["im1.jpg"] == ("tomato", "late", "blight")


@pytest.mark.parametrize(
    ("on_disk", "named"),
    [
        ("s{part}/im{row}.jpg", "/kaggle/input/ds/s{part}/im{row}.jpg"),
        ("s{part}/{half}.jpg", "C:\\data\\s{part}\\{half}.jpg"),
        ("deep/er/s{part}/im{row}.png", "s{part}/im{row}.jpg"),
        ("im{row}.JPG", "im{row}.jpg"),
        ("im{row}.jpg", "IM{row}"),
        ("a/{row:06}.jpg", "{row}"),
        ("a/{row:06}.jpg", "{row}.0"),
        ("{row}.png", "{row:05}.jpg"),
        ("im{row}.png", "im{row}.dcm"),
        ("a/b/im{row}.jpg", "https://example.org/files/im{row}.jpg?size=2"),
        ("a/im {row}.jpg", "./a//im {row}.jpg"),
        # Files for testing have the same names.
        ("train/{row}.jpg", "{row}"),
    ],
)
def test_files_by_other_names(tmp_path, on_disk, named):
    def path(pattern, row):
        return pattern.format(row=row, part=row % 2, half=row // 2)

    lay_out(tmp_path, *(path(on_disk, row) for row in ROWS), "test/0.jpg", "test/1.jpg")
    lay_out(tmp_path, labels="id,label\n" + "".join(f"{path(named, row)},{CLASSES[row % 3]}\n" for row in ROWS))
    found = read(tmp_path)
    assert classes(found) == {path(on_disk, row): CLASSES[row % 3] for row in ROWS}
    names(found.description, "12 of 12 images found")


def test_names_of_several_files_are_never_guessed(tmp_path):
    paths = [f"{folder}/im{row}.jpg" for folder in "ab" for row in ROWS]
    lay_out(tmp_path, *paths, labels=table("file,label=class"))
    with mentioning(InputError, "labels.csv names 12 files, 0 found, for example im0.jpg", "a/im0.jpg or b/im0.jpg"):
        read(tmp_path)
    index = FileIndex([*paths, "a/1.png", "train/x.jpg", *(f"n{row}/00.jpg" for row in range(30))])
    assert index.find("b/im3").path == "b/im3.jpg"
    assert index.find("n7/0.jpg").path == "n7/00.jpg"
    assert index.find("im0.jpg", "b/").path == "b/im0.jpg"
    # Another folder that is here, another split, and any of thirty.
    assert [index.find(text).path for text in ("n1/im0.jpg", "b/1.png", "test/x.jpg", "0", "..", "")] == [None] * 6
    index = FileIndex(["cat/images/1.jpg", "dog/images/2.jpg", "test/data/3.jpg"])
    assert [index.find(f"{path}.jpg").path for path in ("dog/images/1", "train/data/3", "test/images/1")] == [None] * 3
    assert index.find("/somewhere/images/1.jpg").path == "cat/images/1.jpg"


def test_an_image_is_meant_and_not_its_mask(tmp_path):
    lay_out(tmp_path, *(f"{folder}/im{row}.png" for folder in ("images", "masks") for row in ROWS))
    found = read(lay_out(tmp_path, labels=table("id=stem,class")))
    assert classes(found) == {f"images/im{row}.png": CLASSES[row % 3] for row in ROWS}


@pytest.mark.parametrize(
    "bits", [("0.00", "1.00"), ("0.000e+00", "1.000e+00"), ("False", "TRUE"), ("no", "Yes"), ("-1", "1")]
)
def test_zeros_and_ones_in_any_notation(tmp_path, bits):
    rows = "".join(f"im{row}.jpg,{','.join(bits[row % 3 == kind] for kind in range(3))}\n" for row in ROWS)
    assert classes(read(lay_out(tmp_path, *IMAGES, labels=f"file,cat,dog,fox\n{rows}"))) == BY_CLASS


def test_whole_numbers_with_a_point(tmp_path):
    rows = "".join(f"im{row}.jpg,{float(row % 3)}\n" for row in ROWS)
    assert set(classes(read(lay_out(tmp_path, *IMAGES, labels=f"file,label\n{rows}"))).values()) == {"0", "1", "2"}


def test_titles_alone_are_no_table(tmp_path):
    assert ignored(read(lay_out(tmp_path, *IMAGES, labels="file,label\n"))) == {"labels.csv": "it has titles only"}
    nothing = "file,label\n" + "".join(f",{CLASSES[row % 3]}\n" for row in ROWS)
    assert ignored(read(lay_out(tmp_path, labels=nothing))).keys() == {"labels.csv"}


@pytest.mark.parametrize("seed", range(20))
def test_files_that_are_no_tables_are_ignored(tmp_path, seed):
    draw = random.Random(seed)
    junk = bytes(draw.choice((0, 10, 34, 44, draw.randrange(256))) for _ in range(draw.choice((0, 1, 7, 3000))))
    lay_out(tmp_path, *IMAGES)
    (tmp_path / "junk.csv").write_bytes(junk * draw.choice((1, 100)))
    found = read(tmp_path)
    assert not found.labeled and ignored(found).keys() == {"junk.csv"}


def test_one_file_is_not_taken_for_two(tmp_path):
    """A file of a folder that is not here does not stand for one that is."""
    rows = (f"s{part}/{row}.jpg,{CLASSES[(row + part) % 3]}\n" for part in (0, 1) for row in ROWS)
    lay_out(tmp_path, *(f"s0/{row}.jpg" for row in ROWS), labels="file,label\n" + "".join(rows))
    found = read(tmp_path, file_column="file")
    assert classes(found) == {f"s0/{row}.jpg": CLASSES[row % 3] for row in ROWS}
    assert len(found.unreadable) == 12 and not found.contradictory


@pytest.mark.parametrize("titles", ["", "foo,bar\n"])
def test_a_table_called_labels_names_files(tmp_path, titles):
    lay_out(tmp_path, "s1/a.jpg", "s2/b.jpg", labels=titles + table("stem,class").split("\n", 1)[1])
    with mentioning(InputError, "labels.csv names", "0 found"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("count", "options", "said"),
    [
        (0, {}, ("12 files, 0 found, for example im0.jpg", "move the table")),
        (0, {"file_column": "file"}, ("12 files, 0 found", "im0.jpg")),
        (4, {}, ("12 files, 4 found, for example im4.jpg", "--file-column")),
    ],
)
def test_a_table_whose_files_are_not_here_is_an_error(tmp_path, count, options, said):
    lay_out(tmp_path, *IMAGES[:count], *(f"session {part}/x{part}.jpg" for part in (1, 2)), labels=table("file,class"))
    with mentioning(InputError, "labels.csv", *said):
        read(tmp_path, **options)


def test_a_table_some_of_whose_files_are_here(tmp_path):
    found = read(lay_out(tmp_path, *IMAGES[:8], labels=table("file,class")))
    names(found.description, "8 of 12 images found")
    assert [item.path for item in found.unreadable] == list(IMAGES[8:])
    names(found.unreadable[0].reason, "labels.csv", "missing")
    found = read(lay_out(tmp_path / "few", *IMAGES[:4], labels=table("file,class")), file_column="file")
    assert len(found.labeled) == 4


@pytest.mark.parametrize(
    "write",
    [
        lambda text: text.replace(",", "\t").encode("utf-16"),
        lambda text: text.encode("utf-16-be"),
        lambda text: ("\ufeff" + text).replace("\n", "\r\n").encode(),
        lambda text: text.replace(",", ";").encode("cp1252"),
        lambda text: ("sep=|\n" + text.replace(",", "|")).encode(),
        lambda text: ("# made by hand\n" + text + "# end\n\n").encode(),
        lambda text: (text + "Total: 12 images\n").encode(),
        lambda text: re.sub("[^,\n]+", r'"\g<0>"', text).replace(",", ", ").encode(),
        lambda text: "".join(f"{line},,\n" for line in text.splitlines()).encode(),
    ],
    ids=["spreadsheet", "utf-16", "dos", "semicolons", "bars", "comments", "total", "quotes", "empty"],
)
def test_encodings_separators_and_quotes(tmp_path, write):
    lay_out(tmp_path, *IMAGES)
    (tmp_path / "labels.csv").write_bytes(write(table("file,class").replace("fox", "füchs")))
    expected = {path: name.replace("fox", "füchs") for path, name in BY_CLASS.items()}
    assert classes(read(tmp_path)) == expected


def test_lists_without_titles(tmp_path):
    lay_out(tmp_path, *IMAGES, "a b.jpg", "notes.md")
    (tmp_path / "train.txt").write_text("".join(f"im{row}.jpg {row % 3}\n" for row in ROWS) + "a b.jpg 0\n")
    (tmp_path / "README.txt").write_text("These are photos of animals.\nThey are free.\n")
    found = read(tmp_path)
    assert classes(found) == {**{f"im{row}.jpg": str(row % 3) for row in ROWS}, "a b.jpg": "0"}
    assert found.ignored == ()
    (tmp_path / "train.txt").unlink()
    lay_out(tmp_path, labels=table("file,class").split("\n", 1)[1])
    names(read(tmp_path).description, "column 2 of labels.csv: 3 classes")
    assert read(tmp_path, label_column="2").labeled == read(tmp_path).labeled


def test_rows_of_many_widths_are_refused(tmp_path):
    rows = "".join(f"im{row}.jpg,{'cat, indoor' if row % 2 else 'dog'}\n" for row in ROWS)
    with mentioning(InputError, "labels.csv", "2 columns", "6 of more", "quotes"):
        read(lay_out(tmp_path, *IMAGES, labels="file,tags\n" + rows))


def test_templates_are_ignored(tmp_path):
    """As at Kaggle: the images for testing are in a template with the same columns, or with one per class."""
    lay_out(tmp_path, *(f"train/im{row}.jpg" for row in ROWS), *(f"test/te{row}.jpg" for row in ROWS))
    lay_out(tmp_path, labels=table("id=stem,breed=class"))
    expected = {f"train/im{row}.jpg": CLASSES[row % 3] for row in ROWS}
    head = "id,breed\n"
    templates = {
        "sample_submission": head + "".join(f"te{row},{CLASSES[row % 2]}\n" for row in ROWS),
        "sampleSubmission": head + "".join(f"te{row},0\n" for row in ROWS),
        "test": head + "".join(f"te{row},cat\n" for row in ROWS),
        "example": "id,cat,dog,fox\n" + "".join(f"te{row},.333,.333,.333\n" for row in ROWS),
        "random": head + "".join(f"te{row},{CLASSES[row % 2]}\n" for row in ROWS),
        "to_fill_in": "id,cat,dog\n" + "".join(f"te{row},{row % 2},{1 - row % 2}\n" for row in ROWS),
    }
    for name, text in templates.items():
        lay_out(tmp_path, **{name: text})
        found = read(tmp_path)
        assert classes(found) == expected, name
        assert [item.path for item in found.ignored] == [f"{name}.csv"]
        names(found.description, "'breed' of labels.csv", "12 of 12")
        (tmp_path / f"{name}.csv").unlink()


def test_tables_of_the_same_titles_are_joined(tmp_path):
    parts = {"train": range(6), "val": range(6, 9), "test": range(9, 12)}
    lay_out(tmp_path, *IMAGES, **{name: table("file,width,class", rows) for name, rows in parts.items()})
    found = read(tmp_path)
    assert classes(found) == BY_CLASS
    full = {"train": "training", "val": "validation", "test": "test"}
    assert splits(found) == {f"im{row}.jpg": full[name] for name, rows in parts.items() for row in rows}
    # One table per class.
    for name in parts:
        (tmp_path / f"{name}.csv").unlink()
    lay_out(tmp_path, **{name: table("file,class", ROWS[start::3]) for start, name in enumerate(CLASSES)})
    assert classes(read(tmp_path)) == BY_CLASS


def test_tables_in_split_folders(tmp_path):
    """The export of a labeling service: one table per folder, whose files have the same names."""
    for name in ("train", "valid", "test"):
        lay_out(tmp_path, *(f"{name}/{image}" for image in IMAGES))
        lay_out(tmp_path / name, _classes=table("filename=file, cat=cat, dog=dog, fox=fox"))
    found = read(tmp_path)
    assert classes(found) == {f"{name}/{p}": c for name in ("train", "valid", "test") for p, c in BY_CLASS.items()}
    assert {path.split("/")[0]: split for path, split in splits(found).items()} == {
        "train": "training",
        "valid": "validation",
        "test": "test",
    }


@pytest.mark.parametrize("folder", ["meta", "annotations/v1"])
def test_tables_in_other_folders(tmp_path, folder):
    lay_out(tmp_path, *(f"images/{path}" for path in IMAGES), f"{folder}/readme.md")
    lay_out(tmp_path / folder, labels=table("file,class"))
    found = read(tmp_path)
    assert classes(found) == {f"images/{path}": name for path, name in BY_CLASS.items()}
    names(found.description, f"{folder}/labels.csv")


def test_a_column_of_splits_and_one_of_groups(tmp_path):
    text = "file,label,data set,patient\n"
    text += "".join(f"im{row}.jpg,{CLASSES[row % 3]},{('train', 'Valid')[row // 9]},p{row // 4}\n" for row in ROWS)
    found = read(lay_out(tmp_path, *IMAGES, labels=text), group_column="Patient")
    assert splits(found) == {f"im{row}.jpg": ("training", "validation")[row // 9] for row in ROWS}
    assert [item.group for item in found.labeled] == [f"p{row // 4}" for row in ROWS]
    lay_out(tmp_path, labels=text.replace("data set", "split").replace("Valid", "extra"))
    with mentioning(InputError, "'split'", "'extra'", "train, "):
        read(tmp_path)


def test_files_of_equal_names_are_told_apart_by_the_split(tmp_path):
    lay_out(tmp_path, *(f"{name}/{path}" for name in ("train", "val") for path in IMAGES))
    rows = [f"im{row}.jpg,{CLASSES[(row + shift) % 3]},{('train', 'val')[shift]}\n" for shift in (0, 1) for row in ROWS]
    found = read(lay_out(tmp_path, labels="file,label,split\n" + "".join(rows)))
    names(found.description, "24 of 24 images found")
    assert classes(found) == {
        f"{name}/im{row}.jpg": CLASSES[(row + shift) % 3] for shift, name in enumerate(("train", "val")) for row in ROWS
    }


def test_a_split_of_some_images_only_is_refused(tmp_path):
    lay_out(tmp_path, *IMAGES, train=table("file,class", ROWS[:8]), more=table("file,class", ROWS[8:]))
    with mentioning(InputError, "4 of the 12 images", "in no split", "im8.jpg"):
        read(tmp_path)


def test_tables_for_some_of_the_split_folders(tmp_path):
    """The others have one subfolder per class, or the table is not for training."""
    lay_out(tmp_path, *(f"train/{BY_CLASS[path]}/a{path}" for path in IMAGES), *(f"test/{path}" for path in IMAGES))
    lay_out(tmp_path, test=table("file,class"))
    layout = recognize_layout(tmp_path, "data")
    assert {item.path: (item.class_name, item.split) for item in layout.labeled} == {
        **{f"train/{name}/a{path}": (name, "training") for path, name in BY_CLASS.items()},
        **{f"test/{path}": (name, "validation") for path, name in BY_CLASS.items()},
    }
    names(layout.description, "test.csv", "12 of 12", "one subfolder per class, in train")
    for path in tmp_path.glob("train/*/*"):
        path.rename(tmp_path / "train" / path.name)
    with mentioning(InputError, "data has labels in a table for the images in test alone", "--leave-out train"):
        recognize_layout(tmp_path, "data")


def test_a_table_for_testing_beside_folders_of_classes(tmp_path):
    lay_out(tmp_path, *(f"{BY_CLASS[path]}/a{path}" for path in IMAGES), *(f"test/{path}" for path in IMAGES))
    layout = recognize_layout(lay_out(tmp_path, test=table("file,class")), "data")
    by_folder = {item.path.split("/")[0]: item.split for item in layout.labeled}
    assert by_folder == {**dict.fromkeys(CLASSES, "training"), "test": "validation"}
    names(layout.description, "test.csv", "12 of 12", "in the folders of classes and test")


def test_errors_say_why_a_table_is_not_used(tmp_path):
    lay_out(tmp_path, *IMAGES, labels=table("file,label=one"))
    with mentioning(InputError, "data has no labels", "labels.csv is not used", "'label' has one value only"):
        recognize_layout(tmp_path, "data")


def test_tables_that_contradict_each_other_are_refused(tmp_path):
    lay_out(tmp_path, *IMAGES, a=table("file,class"), b=table("file,class").replace("im3.jpg,cat", "im3.jpg,dog"))
    with mentioning(InputError, "a.csv and b.csv", "im3.jpg", "'cat' and 'dog'"):
        read(tmp_path)
    lay_out(tmp_path, b=table("file,species=other"))
    with mentioning(InputError, "a.csv", "b.csv", "column 'class'", "column 'species'", "--label-column"):
        read(tmp_path)
    names(read(tmp_path, label_column="species").description, "column 'species' of b.csv")
    lay_out(tmp_path, b=table("file,species=class,width"))
    assert ignored(read(tmp_path)) == {"b.csv": "says the same as a.csv"}
    # Facts without a class are no second candidate.
    lay_out(tmp_path, b=table("file,sex=other,site=how,age"))
    assert ignored(read(tmp_path)) == {"b.csv": "no title says that it has classes"}


def test_an_image_of_two_classes_is_a_contradiction(tmp_path):
    found = read(lay_out(tmp_path, *IMAGES, labels=table("file,class") + "im4.jpg,cat\nim5.jpg,fox\n"))
    assert classes(found) == {path: name for path, name in BY_CLASS.items() if path != "im4.jpg"}
    assert [item.path for item in found.contradictory] == ["im4.jpg"] and not found.unreadable
    names(found.contradictory[0].reason, "'cat' and 'dog'", "labels.csv")
    names(found.description, "1 in two classes left out")


def test_options_that_fit_no_table(tmp_path):
    lay_out(tmp_path, *IMAGES, labels=table("file,class,width"))
    for name in ("label", "file"):
        with mentioning(InputError, "'clas'", f"--{name}-column", "file, class, width"):
            read(tmp_path, **{f"{name}_column": "clas"})
    assert len(read(tmp_path, label_column="width").labeled) == 12


def test_two_columns_of_files(tmp_path):
    lay_out(tmp_path, *(f"{row}.jpg" for row in ROWS))
    rows = "".join(f"{row},{11 - row},{CLASSES[row % 3]}\n" for row in ROWS)
    lay_out(tmp_path, labels=f",number,label\n{rows}")
    with mentioning(InputError, "labels.csv", "column 1 and column 'number'", "--file-column"):
        read(tmp_path)
    assert classes(read(tmp_path, file_column="number"))["0.jpg"] == CLASSES[11 % 3]
    lay_out(tmp_path, labels=f",id,label\n{rows}")
    assert classes(read(tmp_path))["0.jpg"] == CLASSES[11 % 3]


def test_folders_that_may_be_the_classes(tmp_path):
    paths = [f"{BY_CLASS[path]}/{path}" for path in IMAGES]
    lay_out(tmp_path, *paths, labels=table("file,sex=flag"))
    with mentioning(InputError, "labels.csv", "column 'sex'", "3 folders", "--layout"):
        read(tmp_path)
    lay_out(tmp_path, labels=table("file,label=class", range(4)))
    with mentioning(InputError, "4 of the 12 images in 3 folders", "--layout"):
        read(tmp_path)
    assert len(read(tmp_path, layout="table").labeled) == 4
    rows = "".join(f"{path},{name if row else 'dog'}\n" for row, (path, name) in enumerate(BY_CLASS.items()))
    lay_out(tmp_path, labels="file,label\n" + rows)
    with mentioning(InputError, "1 of 12 images", "'dog' for cat/im0.jpg", "--layout"):
        read(tmp_path)
    lay_out(tmp_path, labels=table("file,label=class"))
    assert classes(read(tmp_path)) == {f"{name}/{path}": name for path, name in BY_CLASS.items()}


def test_spreadsheets_and_annotations_of_single_images(tmp_path):
    lay_out(tmp_path, *IMAGES, "labels.xlsx", "more.csv.gz", *(f"boxes/im{row}.txt" for row in range(60)))
    found = read(tmp_path)
    assert not found.labeled
    assert ignored(found).keys() == {"labels.xlsx", "more.csv.gz"}
    names(ignored(found)["labels.xlsx"], "save it as .csv")
    (tmp_path / "labels.xlsx").unlink()
    (tmp_path / "more.csv.gz").unlink()
    assert read(tmp_path) is None


def test_rows_of_a_beginning_are_those_of_the_whole(tmp_path):
    lay_out(tmp_path, long="file,class\n" + "".join(f"{'x' * 40}ü{row}.jpg,{row % 3}\n" for row in range(9000)))
    whole, head = read_rows(tmp_path / "long.csv"), read_rows(tmp_path / "long.csv", head=True)
    assert len(whole.rows) == 9001 and not (whole.narrow or whole.wide)
    assert head.rows == whole.rows[: len(head.rows)] and len(head.rows) >= 200


def test_time_grows_with_the_rows_only(tmp_path):
    def seconds(count):
        (tmp_path / "labels.csv").write_text("image_id,dx\n" + "".join(f"i{n},{n % 7}\n" for n in range(count)))
        tree = FileTree(tmp_path, tuple(sorted(["labels.csv", *(f"p{n % 50}/i{n:07}.jpg" for n in range(count))])))
        start = time.process_time()
        found = read_label_tables(tree)
        assert len(found.labeled) == count
        return time.process_time() - start

    few = min(seconds(2_000), seconds(2_000))
    assert seconds(16_000) < 8 * 3 * few


@pytest.mark.parametrize(
    ("name", "text"),
    [
        # Programs write no title above the names of rows.
        (
            "a.txt",
            "12\ncat dog fox\n" + "".join(f"im{n}.jpg {n % 3 == 0:d} {n % 3 == 1:d} {n % 3 == 2:d}\n" for n in ROWS),
        ),
        ("a.csv", "file,label,age\n" + "".join(f"{n + 1},im{n}.jpg,{CLASSES[n % 3]},{n}\n" for n in ROWS)),
        ("a.txt", '"file" "label"\n' + "".join(f'"{n + 1}" "im{n}.jpg" "{CLASSES[n % 3]}"\n' for n in ROWS)),
        # A remark without a title.
        ("a.csv", "file,label\n" + "".join(f"im{n}.jpg,{CLASSES[n % 3]},seen\n" for n in ROWS)),
        # Files put together.
        ("a.csv", "file,label\n" + "file,label\n".join(f"im{n}.jpg,{CLASSES[n % 3]}\n" for n in ROWS)),
        ("a.tab", "file\tlabel\n" + "".join(f"im{n}.jpg\t{CLASSES[n % 3]}\n" for n in ROWS)),
        ("a.csv", "file,label\n" + "".join(f"im%{ord(str(n)[0]):x}{str(n)[1:]}.jpg,{CLASSES[n % 3]}\n" for n in ROWS)),
        (
            "a.csv",
            "file,label\n" + "".join(f"im{n}.jpg,{CLASSES[n % 3]}\n" for n in ROWS) + "im12.jpg,N/A\nim13.jpg,null\n",
        ),
    ],
)
def test_tables_as_programs_write_them(tmp_path, name, text):
    lay_out(tmp_path, "im{0..13}.jpg")
    (tmp_path / name).write_text(text, encoding="utf-8")
    found = read(tmp_path)
    assert {item.path: item.class_name for item in found.labeled} == {f"im{n}.jpg": CLASSES[n % 3] for n in ROWS}
    assert not found.unreadable


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("file,age,sex=how,malignant=flag", ["'sex'", "'malignant'"]),
        ("file,site=other,has_polyp=flag", ["'site'", "'has_polyp'"]),
    ],
)
def test_a_column_of_0_and_1_beside_one_of_names(tmp_path, header, columns):
    lay_out(tmp_path, "im{0..11}.jpg", labels=table(header))
    with mentioning(InputError, *columns, "--label-column"):
        read(tmp_path)


def test_measured_values_are_no_classes(tmp_path):
    lay_out(tmp_path, "im{0..11}.jpg", labels="file,target\n" + "".join(f"im{n}.jpg,{n % 3 + 0.5}\n" for n in ROWS))
    with mentioning(InputError, "'target' has numbers with fractions", "--label-column"):
        recognize_layout(tmp_path, "data")
    assert len(read(tmp_path, label_column="target").labeled) == len(ROWS)


@pytest.mark.parametrize(
    "kinds",
    [
        ("Boeing 737", "A330", "Cessna Citation X"),
        ("707-320", "747-200", "A330-200"),
        ("pug", "great dane", "fox of two"),
    ],
)
def test_classes_of_several_words_in_lists_without_separators(tmp_path, kinds):
    lay_out(tmp_path, "images/00{10..21}.jpg")
    (tmp_path / "family_train.txt").write_text("".join(f"00{n + 10} {kinds[n % 3]}\n" for n in ROWS), encoding="utf-8")
    assert {item.class_name for item in read(tmp_path).labeled} == {*kinds}


@pytest.mark.parametrize(
    ("other", "parts"),
    [
        ("my_predictions", ["12 of 12", "my_predictions.csv (predictions and no labels)"]),
        ("preds-resnet", ["12 of 12", "preds-resnet.csv (predictions and no labels)"]),
        ("labels (copy)", ["12 of 12 images found"]),
    ],
)
def test_tables_beside_that_of_the_labels(tmp_path, other, parts):
    text = table("file,class", ROWS)
    lay_out(tmp_path, "im{0..11}.jpg", labels=text, **{other: text})
    names(recognize_layout(tmp_path, "data").description, *parts)


def test_a_table_for_training_beside_validation_images_without_labels(tmp_path):
    lay_out(tmp_path, "train/im{0..11}.jpg", "valid/x{0..3}.jpg", **{"train/_classes": table("file,cat,dog,fox")})
    with mentioning(InputError, "none for those in valid", "--leave-out valid"):
        recognize_layout(tmp_path, "data")
    assert len(recognize_layout(tmp_path, "data", DataOptions(leave_out=("valid",))).labeled) == len(ROWS)
    assert len(recognize_layout(tmp_path, "data", DataOptions(validation_fraction=0.2)).labeled) == len(ROWS)


@pytest.mark.parametrize(
    ("encoding", "kinds"),
    [("gbk", "猫狗"), ("cp1251", ("кошка", "пёс")), ("shift_jis", "猫犬"), ("euc-kr", ("고양이", "개"))],
)
def test_encodings_that_are_not_known_are_not_guessed(tmp_path, encoding, kinds):
    lay_out(tmp_path, "im{0..11}.jpg")
    text = "file,label\n" + "".join(f"im{n}.jpg,{kinds[n % 2]}\n" for n in ROWS)
    (tmp_path / "labels.csv").write_bytes(text.encode(encoding))
    with mentioning(InputError, "labels.csv is not used", "save it as UTF-8"):
        recognize_layout(tmp_path, "data")


@pytest.mark.parametrize(
    "kinds", [("Käse", "Brötchen"), ("pâté", "crème brûlée"), ("coração", "mañana"), ("façade", "œuf")]
)
def test_western_european_tables(tmp_path, kinds):
    lay_out(tmp_path, "im{0..11}.jpg")
    text = "file,label\n" + "".join(f"im{n}.jpg,{kinds[n % 2]}\n" for n in ROWS)
    (tmp_path / "labels.csv").write_bytes(text.encode("cp1252"))
    assert {item.class_name for item in read(tmp_path, labels="one").labeled} == {*kinds}


@pytest.mark.parametrize("title", ["split", "subset", "is_valid", "is_test"])
def test_a_column_of_splits_that_names_none_is_named(tmp_path, title):
    lay_out(tmp_path, "im{0..11}.jpg", labels=table(f"file,class,{title}=flag"))
    names(read(tmp_path).description, f"column '{title}' is no split", "0, 1")
