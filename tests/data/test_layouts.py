"""Every way to lay out classes, and names that are no classes."""

import os
import socket

import pytest

from kerascnn import InputError
from kerascnn.data.ingestion.layouts import recognize_layout
from support.folders import lay_out
from support.messages import mentioning, names


def labels(layout):
    return {item.path: item.class_name for item in layout.labeled}


def splits(layout):
    return {item.path: item.split for item in layout.labeled}


def explained(items, parts):
    """Whether exactly these paths are listed, each with a reason that contains its part."""
    found = {item.path: item.reason for item in items}
    assert found.keys() == parts.keys()
    for path, part in parts.items():
        names(found[path], part)


def test_one_subfolder_per_class(tmp_path):
    layout = recognize_layout(lay_out(tmp_path, "cat/1.jpg", "cat/deep/2.jpg", "dog/1.jpg", "readme.txt"), "x")
    assert labels(layout) == {"cat/1.jpg": "cat", "cat/deep/2.jpg": "cat", "dog/1.jpg": "dog"}
    names(layout.description, "subfolder per class")
    explained(layout.ignored, {"readme.txt": "no class"})


def test_nested_single_folders_are_searched(tmp_path):
    # As in the archive of cats and dogs that Microsoft hands out.
    lay_out(tmp_path, "a/PetImages/Cat/1.jpg", "a/PetImages/Dog/1.jpg", "a/readme[1].txt", "MSR-LA.docx")
    layout = recognize_layout(tmp_path, "x")
    assert labels(layout) == {"a/PetImages/Cat/1.jpg": "Cat", "a/PetImages/Dog/1.jpg": "Dog"}
    names(layout.description, "subfolder per class", "a/PetImages")
    assert {item.path for item in layout.ignored} == {"a/readme[1].txt", "MSR-LA.docx"}


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (("train", "val"), ("training", "validation")),
        (("Training", "VALIDATION"), ("training", "validation")),
        (("train", "test"), ("training", "validation")),
        (("train", "valid", "test"), ("training", "validation", "test")),
        (("train",), (None,)),
    ],
)
def test_split_folders(tmp_path, folders, expected):
    lay_out(tmp_path, *(f"{folder}/{kind}/1.jpg" for folder in folders for kind in ("cat", "dog")))
    layout = recognize_layout(tmp_path, "x")
    assert splits(layout) == {
        f"{folder}/{kind}/1.jpg": split
        for folder, split in zip(folders, expected, strict=True)
        for kind in ("cat", "dog")
    }
    assert set(labels(layout).values()) == {"cat", "dog"}


def test_names_that_begin_with_their_class(tmp_path):
    # As at Kaggle, where the images for testing have no labels.
    lay_out(tmp_path, *(f"train/{kind}.{n}.jpg" for kind in ("cat", "dog") for n in range(3)), "test1/1.jpg")
    layout = recognize_layout(tmp_path, "x")
    assert labels(layout) == {f"train/{kind}.{n}.jpg": kind for kind in ("cat", "dog") for n in range(3)}
    assert set(splits(layout).values()) == {None}
    explained(layout.ignored, {"test1": "without labels"})


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (("Persian_1.jpg", "Persian_2.jpg", "great_dane_1.jpg", "great_dane_22.jpg"), {"Persian", "great_dane"}),
        (("cat (1).png", "cat (2).png", "dog (1).png", "dog-2.png"), {"cat", "dog"}),
        (("kočka1.jpg", "kočka2.jpg", "pes1.jpg", "pes2.jpg"), {"kočka", "pes"}),
    ],
)  # fmt: skip
def test_classes_in_file_names(tmp_path, names, classes):
    assert set(labels(recognize_layout(lay_out(tmp_path, *names), "x")).values()) == classes


@pytest.mark.parametrize(
    "names",
    [
        ("IMG_1.jpg", "IMG_2.jpg", "DSC01.jpg", "DSC02.jpg"),
        ("anna1.jpg", "bert2.jpg", "carl3.jpg"),
        ("1.jpg", "2.jpg"),
        ("cat.1.jpg", "cat.2.jpg"),
        ("cat.jpg", "dog.jpg"),
    ],
)
def test_file_names_without_classes(tmp_path, names):
    with mentioning(InputError, "x", "classes", f"{len(names)} files", "give"):
        recognize_layout(lay_out(tmp_path, *names), "x")


@pytest.mark.parametrize(
    "text",
    [
        "a.jpg,cat\nb.jpg,dog\nc.jpg,cat\nd.jpg,dog\n",
        "label,file\ncat,images/a.jpg\ndog,images/b.jpg\ncat,images/c.jpg\ndog,images/d.jpg\n",
        "id;width;breed\na;10;cat\nb;20;dog\nc;30;cat\nd;40;dog\n",
        "\ufefffile\tclass\n.\\images\\a.jpg\tcat\n./images/b.jpg\tdog\nimages/c.jpg\tcat\nd.jpg\tdog\n",
    ],
    ids=["bare", "head", "identifiers", "tabs"],
)
def test_tables(tmp_path, text):
    lay_out(tmp_path, *(f"images/{name}.jpg" for name in "abcde"), labels=text)
    layout = recognize_layout(tmp_path, "x")
    assert labels(layout) == dict(zip((f"images/{n}.jpg" for n in "abcd"), ("cat", "dog", "cat", "dog"), strict=True))
    names(layout.description, "labels.csv")
    assert {item.path for item in layout.ignored} == {"images/e.jpg", "labels.csv"}


def test_a_table_with_splits_missing_files_and_contradictions(tmp_path):
    text = (
        "file,label,split\na.jpg,cat,train\nb.jpg,dog,train\nc.jpg,cat,test\nd.jpg,dog,test\n"
        "gone.jpg,cat,train\n../../etc/passwd,dog,train\ne.jpg,cat,train\ne.jpg,dog,train\n"
    )
    layout = recognize_layout(lay_out(tmp_path, *(f"{name}.jpg" for name in "abcde"), labels=text), "x")
    assert splits(layout) == dict(
        zip(("a.jpg", "b.jpg", "c.jpg", "d.jpg"), ("training", "training", "validation", "validation"), strict=True)
    )
    explained(layout.unreadable, {"gone.jpg": "labels.csv", "../../etc/passwd": "labels.csv"})
    explained(layout.contradictory, {"e.jpg": "'cat' and 'dog', in labels.csv"})


def test_a_table_of_something_else_labels_nothing(tmp_path):
    scores = "file,score\n" + "".join(f"cat/{n}.jpg,{n / 7}\n" for n in range(5))
    lay_out(
        tmp_path, *(f"{kind}/{n}.jpg" for kind in ("cat", "dog") for n in range(5)), scores=scores, other="a,b\n1,2\n"
    )
    assert set(labels(recognize_layout(tmp_path, "x")).values()) == {"cat", "dog"}


def test_system_files_links_pipes_and_sockets(tmp_path):
    lay_out(
        tmp_path, "cat/1.jpg", "dog/1.jpg", "cat/Thumbs.db", ".DS_Store", "__MACOSX/cat/._1.jpg", "dog/.hidden/2.jpg"
    )
    (tmp_path / "cat" / "good.jpg").symlink_to(tmp_path / "dog" / "1.jpg")
    (tmp_path / "cat" / "broken.jpg").symlink_to("nowhere")
    (tmp_path / "cat" / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "cat" / "pipe.jpg")
    listening = socket.socket(socket.AF_UNIX)
    before = os.getcwd()
    os.chdir(tmp_path)
    listening.bind("dog/socket.jpg")
    os.chdir(before)
    layout = recognize_layout(tmp_path, "x")
    listening.close()
    assert labels(layout) == {"cat/1.jpg": "cat", "cat/good.jpg": "cat", "dog/1.jpg": "dog"}
    unreadable = {"cat/broken.jpg": "link", "cat/pipe.jpg": "regular file", "dog/socket.jpg": "regular file"}
    explained(layout.unreadable, unreadable)
    ignored = {"cat/Thumbs.db": "Windows", ".DS_Store": "macOS", "__MACOSX": "macOS", "dog/.hidden": "hidden"}
    explained(layout.ignored, {**ignored, "cat/loop": "link"})
