"""What is held out: a share, a fold, another source, whole groups, and images that look the same."""

import io
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from kerascnn import InputError, data
from kerascnn.data import DataOptions
from kerascnn.data.ingestion import folder, layouts
from kerascnn.data.ingestion.file_table import FileTable
from kerascnn.data.ingestion.file_tree import walk
from kerascnn.data.ingestion.image_check import FileRecord
from kerascnn.data.ingestion.near_duplicates import near_duplicates, perceptual_hash
from kerascnn.data.ingestion.splits import TEST, VALIDATION, split_by_content
from support.images import clinic, landscape, landscapes
from support.messages import mentioning, names
from support.pages import Page, run_line


def entries(count, class_name="a", groups=None):
    chance = np.random.default_rng(len(class_name))
    digests = [chance.bytes(32).hex() for _ in range(count)]
    groups = groups or [None] * count
    return [
        FileRecord(f"{class_name}/{number}", class_name, sha256=digest, group=group)
        for number, (digest, group) in enumerate(zip(digests, groups, strict=True))
    ]


def held(files, near=(), **options):
    return {
        file.path
        for file in split_by_content(FileTable(files), DataOptions(**options), near)
        if file.split == VALIDATION
    }


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    return landscapes(tmp_path_factory.mktemp("pets"), 20)


def test_a_share_of_the_images():
    found = entries(4000)
    # Three standard deviations of a binomial share.
    assert len(held(found, validation_fraction=0.1)) / 4000 == pytest.approx(0.1, abs=3 * 0.3 / 4000**0.5)
    # A larger share holds out more, and no others.
    assert held(found, validation_fraction=0.1) < held(found) < held(found, validation_fraction=0.4)


def test_folds_are_equal_parts_of_every_class_and_hold_out_every_image_once():
    found = entries(103) + entries(52, "bb") + entries(3, "ccc")
    folds = [held(found, fold=(part, 5)) for part in range(1, 6)]
    assert sorted(path for fold in folds for path in fold) == sorted(file.path for file in found)
    for name, count in (("a", 103), ("bb", 52), ("ccc", 3)):
        sizes = [sum(path.startswith(f"{name}/") for path in fold) for fold in folds]
        assert max(sizes) - min(sizes) <= 1 and sum(sizes) == count
    assert held(found[::-1], fold=(2, 5)) == folds[1]


def test_more_folds_than_images_are_refused():
    with mentioning(InputError, "3 folds at most", "not into 4"):
        held(entries(3), fold=(1, 4))


def test_small_classes_are_not_all_in_the_first_fold_and_keep_a_training_image():
    found = [file for number in range(200) for file in entries(1 + number % 2, "x" * (number + 1))]
    sizes = [len(held(found, fold=(part, 4))) for part in range(1, 5)]
    # 100 classes of one image are never held out; of 100 classes of two, each image once.
    assert sum(sizes) == 200 and min(sizes) > 25
    for part in range(1, 5):
        out = held(found, fold=(part, 4))
        assert all(
            {file.path for file in found if file.class_name == name} - out for name in {f.class_name for f in found}
        )


def test_test_images_stay_test_images():
    found = [
        file if number % 2 else FileRecord(file.path, "a", TEST, sha256=file.sha256)
        for number, file in enumerate(entries(50))
    ]
    for options in ({"fold": (1, 2)}, {"validation_fraction": 0.5}):
        assigned = split_by_content(FileTable(found), DataOptions(**options))
        assert [file.path for file in assigned if file.split == TEST] == [file.path for file in found[::2]]


@pytest.mark.parametrize("options", [{}, {"validation_fraction": 0.3}, {"fold": (2, 3)}])
def test_a_group_is_never_in_two_splits(options):
    # Patients have images of both classes, and of very different numbers.
    patients = [f"patient {number**2 // 40}" for number in range(120)]
    found = entries(120, "a", patients) + entries(120, "bb", patients[::-1])
    sides = {}
    for file in split_by_content(FileTable(found), DataOptions(group_column="patient", **options)):
        sides.setdefault(file.group, set()).add(file.split)
    assert all(len(side) == 1 for side in sides.values())
    assert set.union(*sides.values()) == {"training", "validation"}


def test_one_group_cannot_be_held_out():
    with mentioning(InputError, "patient", "--group-column"):
        split_by_content(FileTable(entries(9, groups=["one"] * 9)), DataOptions(group_column="patient"))


def jpeg(image, quality):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


def differing(one, other):
    return (int(perceptual_hash(one), 16) ^ int(perceptual_hash(other), 16)).bit_count()


def test_copies_that_look_the_same_are_near_and_others_are_not():
    for seed in range(20):
        image = landscape(seed)
        brighter = image.point(lambda value: min(255, int(1.1 * value)))
        for copy in (jpeg(image, 40), image.resize((48, 48)), brighter, image.convert("L"), image.resize((300, 300))):
            assert near_duplicates([perceptual_hash(image), perceptual_hash(copy)]) == [[0, 1]]
    hashes = [perceptual_hash(landscape(seed, 48)) for seed in range(150)]
    assert all(hashes) and not near_duplicates(hashes)


def test_plain_and_tiny_synthetic_images_are_not_taken_for_copies():
    chance = np.random.default_rng(0)
    images = [Image.new("RGB", (32, 32), tuple(map(int, color))) for color in chance.integers(0, 256, (40, 3))]
    for left, right in chance.integers(0, 256, (40, 2)):
        halves = np.full((16, 16), left, np.uint8)
        halves[:, 8:] = right
        images += [
            Image.fromarray(halves),
            Image.fromarray(np.clip(halves + chance.normal(0, 2, halves.shape), 0, 255).astype(np.uint8)),
        ]
    images += [
        Image.fromarray(np.uint8(127 + 100 * np.sin(np.arange(32) * rate))[None].repeat(32, 0))
        for rate in chance.random(40)
    ]
    assert not near_duplicates([perceptual_hash(image) for image in images])
    # Noise of a few pixels has no plain areas, and every image differs.
    noise = [Image.fromarray(pixels) for pixels in chance.integers(0, 256, (100, 8, 8, 3)).astype(np.uint8)]
    assert not near_duplicates([perceptual_hash(image) for image in noise])
    # Handwritten digits of one class look much the same, and are different images.
    digits = data.load("digits").validation.images
    assert not near_duplicates([perceptual_hash(Image.fromarray(pixels)) for pixels in digits])


def test_small_changes_do_not_join_images_that_differ_much():
    bits = [0, *(2**number - 1 for number in range(4, 129, 4))]
    groups = near_duplicates([f"{one:032x}" for one in bits])
    assert sum(map(len, groups)) >= 30
    for group in groups:
        assert max((bits[one] ^ bits[other]).bit_count() for one in group for other in group) <= 14


def test_what_the_hash_cannot_tell_apart_is_no_group():
    same = "0123456789abcdef" * 2
    assert near_duplicates([same] * 20) == [list(range(20))]
    assert near_duplicates([same] * 30) == []
    assert near_duplicates([same] * 30 + [""] * 300) == [list(range(30))]


def test_pairs_are_found_among_many():
    chance = np.random.default_rng(0)
    hashes = chance.integers(0, 2**64, (20_000, 2), dtype=np.uint64)
    copies = hashes[:500].copy()
    for _ in range(7):
        copies[:, 0] ^= np.uint64(1) << chance.integers(0, 64, 500).astype(np.uint64)
    found = near_duplicates([row.tobytes().hex() for row in np.concatenate([hashes, copies])])
    assert found == [[number, 20_000 + number] for number in range(500)]


def test_near_duplicates_are_kept_together_and_reported(pets, tmp_path):
    shutil.copytree(pets, tmp_path / "pets")
    for number in range(20):
        jpeg(Image.open(pets / "cat" / f"{number}.png"), 80).save(
            tmp_path / "pets" / "cat" / f"copy-{number}.jpg", quality=80
        )
    for options in (DataOptions(), DataOptions(fold=(2, 4))):
        found = data.ingest(tmp_path / "pets", options=options)
        assert len(found.duplicates.near) == 20 and not found.duplicates.near_across_splits
        out = [file.path for file in found.files if file.split == VALIDATION and file.class_name == "cat"]
        assert out and all(
            sum(path in (f"cat/{number}.png", f"cat/copy-{number}.jpg") for path in out) in (0, 2)
            for number in range(20)
        )
    # In splits that came so they are reported.
    landscapes(tmp_path / "set" / "train", 3)
    landscapes(tmp_path / "set" / "val", 3, seed=1)
    jpeg(Image.open(tmp_path / "set/train/cat/0.png"), 70).save(tmp_path / "set/val/cat/copy.jpg", quality=70)
    assert data.ingest(tmp_path / "set").duplicates.near_across_splits == (("train/cat/0.png", "val/cat/copy.jpg"),)


def test_validation_images_of_another_source(pets, tmp_path, monkeypatch):
    held_out = landscapes(tmp_path / "held", 4, seed=2, classes=("dog",))
    shutil.copy(pets / "dog" / "0.png", held_out / "dog" / "copy.png")
    found = data.ingest(pets, options=DataOptions(validation_source=str(held_out)))
    assert len(found.data.training) == 40 and found.data.validation.labels.tolist() == [1] * 5
    [copies] = found.duplicates.across_splits
    names(str(copies), "dog/0.png", "copy.png")
    # An archive lives as long as the data set.
    archive = shutil.make_archive(tmp_path / "packed", "zip", held_out)
    monkeypatch.chdir(tmp_path)
    loaded = data.load(pets, options=DataOptions(validation_source="packed.zip"))
    assert all(Image.open(path).format == "PNG" for path in loaded.validation.paths)
    # The full path, so that a run finds it from any folder.
    assert loaded.options.validation_source == archive


def test_folders_that_are_left_out_are_of_the_training_images_alone(pets, tmp_path):
    shutil.copytree(pets, tmp_path / "pets")
    shutil.copytree(pets / "cat", tmp_path / "pets" / "spare")
    other = landscapes(tmp_path / "other", 2, seed=1)
    options = DataOptions(leave_out=("spare",), layout="folders", validation_source=str(other))
    assert len(data.load(tmp_path / "pets", options=options).validation) == 4


def test_sources_that_do_not_fit_are_refused(pets, tmp_path):
    other = landscapes(tmp_path / "other", 2, classes=("bird", "cat"))
    with mentioning(InputError, "bird", "cat, dog"):
        data.load(pets, options=DataOptions(validation_source=str(other)))
    with mentioning(InputError, "--val-data", "--data", "validated"):
        data.load(pets, options=DataOptions(validation_source=str(pets)))
    for split in ("train", "val"):
        landscapes(tmp_path / "split" / split, 2)
    with mentioning(InputError, "validation images of its own", "--val-data"):
        data.load(tmp_path / "split", options=DataOptions(validation_source=str(pets)))


def test_a_share_or_a_fold_replaces_the_sources_own_split(tmp_path):
    for seed, split in enumerate(("train", "val", "test")):
        landscapes(tmp_path / split, 6, seed)
    own = data.load(tmp_path)
    folds = [data.load(tmp_path, options=DataOptions(fold=(part, 3))) for part in (1, 2, 3)]
    pooled = {*own.training.paths, *own.validation.paths}
    assert {path for fold in folds for path in fold.validation.paths} == pooled
    assert all({*fold.training.paths} == pooled - {*fold.validation.paths} for fold in folds)
    assert all(fold.test.paths.tolist() == own.test.paths.tolist() for fold in folds)


def test_built_in_data_sets(digits):
    folds = [data.load("digits", options=DataOptions(fold=(part, 4))) for part in (1, 2, 3, 4)]
    assert sum(len(fold.validation) for fold in folds) == 1797
    for fold in folds:
        assert len(fold.training) + len(fold.validation) == 1797
        counts = fold.counts(fold.validation)
        assert counts.min() >= 40 and counts.max() <= 48
    with mentioning(InputError, "digits", "--label-column"):
        data.load("digits", options=DataOptions(label_column="dx"))


def test_records_keep_their_split(digits, tmp_path):
    few = data.load("digits", limit=20)
    data.write_records(few, tmp_path / "records")
    with mentioning(InputError, "records", "fixed split", "--fold"):
        data.load(tmp_path / "records", options=DataOptions(fold=(1, 2)))
    found = data.load_labeled(tmp_path / "records")
    assert found.examples.labels.tolist() == [*few.training.labels, *few.validation.labels]
    read = found.examples.shards[found.examples.shard]
    assert sum("validation" in str(path) for path in read) == len(few.validation)


def test_all_images_of_a_source(pets, tmp_path):
    for seed, split in enumerate(("train", "val", "test")):
        landscapes(tmp_path / "set" / split, 3, seed)
    assert len(data.load_labeled(tmp_path / "set").examples) == 18
    one = data.load_labeled(landscapes(tmp_path / "one", 2, classes=("cat",)))
    assert one.class_names == ("cat",) and len(one.examples) == 2
    assert one.labeled_for(("bird", "cat")).labels.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"validation_fraction": 0}, ["--val-fraction", "above 0", "0"]),
        ({"validation_fraction": 0.95}, ["--val-fraction", "0.9", "0.95"]),
        ({"fold": (0, 5)}, ["--fold", "0/5"]),
        ({"fold": (6, 5)}, ["--fold", "6/5"]),
        ({"fold": (1, 1)}, ["--fold", "1/1", "2"]),
        ({"fold": (1, 2), "validation_fraction": 0.2}, ["--fold", "--val-fraction", "leave out"]),
        ({"label_column": " "}, ["--label-column", "empty"]),
    ],
)
def test_mistakes(options, parts):
    with mentioning(InputError, *parts):
        DataOptions(**options)


def test_options_are_read_back():
    options = DataOptions(label_column="dx", group_column="patient", fold=(2, 5), leave_out=("masks",))
    assert DataOptions.from_dict(options.to_dict()) == options
    assert DataOptions().to_dict() == {}
    with mentioning(InputError, "'folds'", "fold"):
        DataOptions.from_dict({"folds": [2, 5]})


def test_groups_of_a_table(tmp_path):
    patients = [f"p{number % 7}" for number in range(30)]
    found = data.ingest(clinic(tmp_path, patients), options=DataOptions(group_column="patient", fold=(1, 3)))
    sides = {}
    for file in found.files:
        if file.status == "read":
            sides.setdefault(file.group, set()).add(file.split)
    assert set(sides) == {f"p{number}" for number in range(7)} and all(len(side) == 1 for side in sides.values())
    names(found.layout, "fold 1 of 3 held out", "7 groups from column 'patient'")


def test_a_search_holds_out_whole_groups(tmp_path):
    from kerascnn.training.search.trial_training import hold_out

    # Patients of 1 to 9 images, most of one class.
    patients = [f"p{int((8 * number) ** 0.5)}" for number in range(80)]
    loaded = data.load(clinic(tmp_path, patients), options=DataOptions(group_column="patient"))
    searched = hold_out(loaded)
    sides = [set(split.groups.tolist()) for split in (searched.training, searched.validation)]
    assert not sides[0] & sides[1] and len(searched.training) + len(searched.validation) == len(loaded.training)
    counts, all_counts = searched.counts(searched.validation), loaded.counts(loaded.training)
    assert (counts >= 0.2 * all_counts).all() and (counts < all_counts).all()
    # Of these images none is in a group.
    assert data.load(landscapes(tmp_path / "plain", 10), options=DataOptions()).training.groups is None


def test_groups_of_another_table_than_that_of_the_classes(pets, tmp_path, monkeypatch):
    walked = []
    for module in (folder, layouts):
        monkeypatch.setattr(module, "walk", lambda root: walked.append(root) or walk(root))
    shutil.copytree(pets, tmp_path / "pets")
    rows = [f"{name}/{number}.png,p{number // 5}" for name in ("cat", "dog") for number in range(20)]
    (tmp_path / "pets" / "patients.csv").write_text("\n".join(["file,patient", *rows]))
    found = data.ingest(tmp_path / "pets", options=DataOptions(group_column="patient", fold=(1, 2)))
    names(found.layout, "one subfolder per class", "4 groups from column 'patient'")
    assert len(walked) == 1
    out = {int(file.path[4:-4]) // 5 for file in found.files if file.split == VALIDATION}
    assert len(out) == 2 and len(found.data.validation) == 20
    with mentioning(InputError, "'patent'", "--group-column", "file, patient"):
        data.load(tmp_path / "pets", options=DataOptions(group_column="patent"))
    with mentioning(InputError, "'who'", "--group-column", "class, file, patient"):
        data.load(clinic(tmp_path / "clinic", ["p"] * 8), options=DataOptions(group_column="who"))
    (tmp_path / "pets" / "patients.csv").write_text("\n".join(["file,patient", *rows, "cat/1.png,p9"]))
    with mentioning(InputError, "two values", "cat/1.png"):
        data.load(tmp_path / "pets", options=DataOptions(group_column="patient"))


def test_groups_that_the_sources_split_divides_are_an_error(tmp_path):
    splits = ["train"] * 10 + ["val"] * 2 + ["train"] * 10 + ["val"] * 2
    folder = clinic(tmp_path, ["p1", *(f"q{number}" for number in range(22)), "p1"], splits)
    with mentioning(InputError, "'p1'", "'patient'", "training and validation", "--fold"):
        data.load(folder, options=DataOptions(group_column="patient"))
    loaded = data.load(folder, options=DataOptions(group_column="patient", fold=(1, 2)))
    names(loaded.layout, "fold 1 of 2 held out, instead of the source's own validation images")


def test_the_choice_is_part_of_the_layout(pets, tmp_path):
    own = landscapes(tmp_path, 3, seed=9)
    layout = data.load(pets, options=DataOptions(validation_source=str(own))).layout
    names(layout, f"validation images from {own}")
    names(data.load(pets, options=DataOptions(validation_fraction=0.125)).layout, "12.5 % held out")


def test_later_options_replace_the_choice_of_validation_images():
    before = DataOptions(label_column="dx", fold=(2, 5), leave_out=("masks",))
    assert before.updated(DataOptions()) == before
    assert before.updated(DataOptions(validation_fraction=0.1)) == DataOptions(
        label_column="dx", validation_fraction=0.1, leave_out=("masks",)
    )
    assert before.updated(DataOptions(label_column="kind")).fold == (2, 5)


def test_the_commands_of_the_page(command, pets, tmp_path, monkeypatch):
    landscapes(tmp_path / "held-out", 4, seed=2)
    clinic(tmp_path / "clinic", [f"p{number % 9}" for number in range(30)])
    shutil.copytree(pets, tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    lines = [line for line in Page("docs/data.md").lines() if re.search("--(val|fold|group)", line)]
    assert len(lines) == 5
    said = [run_line(command, line, "--print-recipe", "--model", "resnet20").err for line in lines]
    for text, parts in zip(
        said, ("/held-out\n", "10 % held out", "fold 2 of 5", "fold 1 of 5", "9 groups"), strict=True
    ):
        assert parts in text
    assert "classes have no validation images" not in said[0]
    reported = json.loads(command("ingest", "clinic", "--group-column", "patient", "--json").out)
    assert "'patient'" in reported["layout"]


def test_the_functions_of_the_page(pets, tmp_path):
    chance = np.random.default_rng(0)
    images, labels = chance.integers(0, 256, (20, 4, 4, 3)).astype(np.uint8), np.arange(20) % 2
    paths = [f"{name}/{number}.png" for number in range(10) for name in ("cat", "dog")]
    frame = {"image_id": paths, "dx": ["cat", "dog"] * 10, "patient": [number // 4 for number in range(20)]}
    dataset = type("Dataset", (list,), {"element_spec": (), "cardinality": list.__len__})(
        zip(images, labels, strict=True)
    )
    given = {"x_train": images, "y_train": labels, "x_val": images[:4], "y_val": labels[:4]}
    given |= {"patients": np.arange(20) // 2, "frame": frame, "tf_dataset": dataset}
    made = Page("docs/data.md").run(given, replace={'folder="clinic"': f"folder={str(pets)!r}"})
    assert made["loaded"].class_names == ("cat", "dog")


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"leave_out": "train"}, r"\('train',\)"),
        ({"fold": "2/5"}, "'2/5'"),
        ({"fold": (2, 5, 1)}, r"\(2, 5, 1\)"),
    ],
)
def test_values_of_another_form_are_not_read_as_if_they_were_right(values, part):
    with pytest.raises(InputError, match=part):
        DataOptions(**values)
