"""Data sets as they are published, read as their authors mean them, or refused with what is missing."""

import json
from collections import Counter

import pytest

from kerascnn import InputError
from kerascnn.data import DataOptions
from kerascnn.data.ingestion.layouts import recognize_layout
from support import published_data
from support.folders import lay_out, said, write_text
from support.messages import mentioning, names


def counts(root, **options):
    """The images of each class and split."""
    layout = recognize_layout(root, "x", DataOptions(**options))
    return Counter((item.class_name, item.split) for item in layout.labeled)


def per_class(classes, **splits):
    return Counter({(name, split): count for name in classes for split, count in splits.items()})


@pytest.mark.parametrize(
    ("skeleton", "title", "expected"),
    [
        ("cub_200", "CUB-200-2011",
         per_class(("001.Black_footed_Albatross", "002.Laysan_Albatross"), training=2, validation=1)),
        ("flowers_102", "Oxford Flowers-102", Counter({("77", "training"): 2, ("77", "validation"): 1,
         ("77", "test"): 1, ("3", "training"): 1, ("3", "validation"): 1, ("3", "test"): 2})),
        ("food_101", "Food-101", per_class(("apple_pie", "waffles"), training=3, validation=1)),
        ("stanford_dogs", "Stanford Dogs",
         per_class(("n02085620-Chihuahua", "n02085782-Japanese_spaniel"), training=2, validation=1)),
        ("stanford_cars", "Stanford Cars",
         per_class(("AM General Hummer SUV 2000", "Acura RL Sedan 2012"), training=2, validation=2)),
        ("oxford_pets", "Oxford-IIIT Pets", per_class(("Abyssinian", "american_bulldog"), training=3, validation=1)),
        ("caltech_101", "101_ObjectCategories", Counter({("accordion", None): 3, ("airplanes", None): 3})),
        ("tiny_imagenet", "Tiny ImageNet", Counter({("n01443537", "training"): 4, ("n01629819", "training"): 4,
         ("n01443537", "validation"): 2, ("n01629819", "validation"): 2})),
        ("imagenet", "ImageNet", per_class(("n01440764", "n01443537"), training=3, validation=2)),
        ("places365", "Places365", per_class(("airfield", "field/cultivated"), training=3, validation=2)),
        ("fiftyone", "FiftyOne", Counter({("cat", None): 2, ("dog", None): 2})),
        ("label_studio", "Label Studio", Counter({("cat", None): 2, ("dog", None): 2})),
    ],
)  # fmt: skip
def test_as_published(tmp_path, skeleton, title, expected):
    root = getattr(published_data, skeleton)(tmp_path)
    assert counts(root) == expected
    names(said(root), title)
    # An archive of the same folder has one more folder around it.
    root.rename(tmp_path.with_name(f"{tmp_path.name}-around"))
    (tmp_path / "outer").mkdir(parents=True)
    tmp_path.with_name(f"{tmp_path.name}-around").rename(tmp_path / "outer" / "inner")
    assert counts(tmp_path) == expected


def remove(root, name):
    next(root.rglob(name)).unlink()
    return root


@pytest.mark.parametrize(
    ("skeleton", "lacks", "parts"),
    [
        ("tiny_imagenet", "val_annotations.txt", ["Tiny ImageNet", "val_annotations.txt"]),
        (
            "imagenet",
            "LOC_val_solution.csv",
            ["LOC_val_solution.csv", "4 validation images", "--leave-out"],
        ),
        ("flowers_102", "imagelabels.mat", ["no labels"]),
        ("fiftyone", "labels.json", ["no labels"]),
    ],
)
def test_what_is_missing(tmp_path, skeleton, lacks, parts):
    with mentioning(InputError, *parts):
        recognize_layout(remove(getattr(published_data, skeleton)(tmp_path), lacks), "x")


def test_without_their_lists_folders_and_names_say_the_classes(tmp_path):
    dogs = remove(published_data.stanford_dogs(tmp_path / "dogs"), "train_list.mat")
    assert counts(dogs) == Counter({("n02085620-Chihuahua", None): 3, ("n02085782-Japanese_spaniel", None): 3})
    flowers = remove(published_data.flowers_102(tmp_path / "flowers"), "setid.mat")
    assert counts(flowers) == Counter({("77", None): 4, ("3", None): 4})
    pets = remove(published_data.oxford_pets(tmp_path / "pets"), "trainval.txt")
    assert counts(pets) == Counter({("Abyssinian", None): 4, ("american_bulldog", None): 4})
    names(said(pets), "annotations")


def test_lists_of_other_images(tmp_path):
    root = published_data.food_101(tmp_path)
    write_text(root / "food-101" / "meta", **dict.fromkeys(("train.txt", "test.txt"), "pizza/1\npizza/2\n"))
    with mentioning(InputError, "Food-101", "none of the 4 files", "pizza/1"):
        recognize_layout(root, "x")


def test_imagenet_with_validation_images_in_folders(tmp_path):
    for split, count in (("train", 3), ("val", 2)):
        lay_out(tmp_path, *(f"{split}/n0144{kind}/{kind}_{n}.JPEG" for kind in ("0764", "3537") for n in range(count)))
    assert counts(tmp_path) == per_class(("n01440764", "n01443537"), training=3, validation=2)


@pytest.mark.parametrize("forms", [("color", "grayscale", "segmented"), ("EuroSAT", "EuroSATallBands")])
def test_other_forms_of_the_images_are_no_classes(tmp_path, forms):
    # As in PlantVillage and EuroSAT.
    lay_out(tmp_path, *(f"{form}/{kind}/{kind}_{n}.jpg" for form in forms for kind in ("AP", "Crop") for n in range(3)))
    assert counts(tmp_path) == Counter({("AP", None): 3, ("Crop", None): 3})
    names(said(tmp_path), f"in {forms[0]}", "left out", forms[1], "other forms")


def samples(*labels):
    """FiftyOne's own format: one sample per file, with the labels of its fields."""
    rows = [
        {"filepath": f"data/{n}.jpg", "tags": []}
        | {field: {"_cls": "Classification", "label": label} for field, label in one.items()}
        for n, one in enumerate(labels)
    ]
    return {"samples.json": json.dumps({"samples": rows}), "metadata.json": "{}"}


def test_fiftyones_samples(tmp_path):
    lay_out(tmp_path, "data/{0..2}.jpg")
    truth = [{"ground_truth": "cat", "model": "dog"}, {"ground_truth": "dog", "model": "dog"}, {}]
    assert counts(write_text(tmp_path, **samples(*truth))) == Counter({("cat", None): 1, ("dog", None): 1})
    names(said(write_text(tmp_path, **samples({"first": "cat", "second": "dog"}))), "refused", "one field")


def test_files_that_are_missing_are_counted(tmp_path):
    root = published_data.food_101(tmp_path)
    next(root.rglob("101.jpg")).unlink()
    layout = recognize_layout(root, "x")
    names(layout.description, "7 of 8 files found")
    assert [item.path for item in layout.unreadable] == ["apple_pie/101.jpg"]


def test_label_studio_in_the_short_form(tmp_path):
    lay_out(tmp_path, *(f"{n}.jpg" for n in range(4)))
    tasks = [
        {"image": f"/data/local-files/?d={n}.jpg", "id": n, "choice": ("cat", "dog")[n % 2], "annotator": 1,
         "annotation_id": n, "created_at": "2026-11-28T10:00:00Z", "lead_time": 2.1}
        for n in range(4)
    ]  # fmt: skip
    write_text(tmp_path, **{"export.json": json.dumps(tasks)})
    assert counts(tmp_path) == Counter({("cat", None): 2, ("dog", None): 2})


def test_several_choices_are_several_classes(tmp_path):
    found = recognize_layout(published_data.label_studio(tmp_path, several=True), "x")
    assert Counter(item.class_name for item in found.labeled) == {("cat", "dog"): 1, ("dog",): 2, ("cat",): 1}
    names(found.description, "several classes per image")


def test_several_labels_of_fiftyone_are_several_classes(tmp_path):
    lay_out(tmp_path, "data/{1..3}.jpg")
    labels = {"1": [0, 1], "2": [{"label": "dog"}], "3": []}
    write_text(tmp_path, **{"labels.json": json.dumps({"classes": ["cat", "dog"], "labels": labels})})
    found = recognize_layout(tmp_path, "x")
    assert {item.path: item.class_name for item in found.labeled} == {
        "data/1.jpg": ("cat", "dog"), "data/2.jpg": ("dog",), "data/3.jpg": (),
    }  # fmt: skip


def test_different_choices_of_two_people_are_refused(tmp_path):
    with mentioning(InputError, "['cat']", "['fox']", "one annotation"):
        recognize_layout(published_data.label_studio(tmp_path, others=True), "x")


def test_a_json_of_something_else_labels_nothing(tmp_path):
    lay_out(tmp_path, *(f"{kind}/{n}.jpg" for kind in ("cat", "dog") for n in range(2)))
    captions = [{"id": 1, "file_name": "cat/1.jpg", "caption": "a cat"}]
    write_text(
        tmp_path, **{"captions.json": json.dumps(captions), "notes.json": "{not json", "deep.json": "[" * 100_000}
    )
    assert {name for name, _ in counts(tmp_path)} == {"cat", "dog"}
