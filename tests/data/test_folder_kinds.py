"""Folders that are no classes: splits, annotations, other forms, parts, and what this package writes."""

import json
import os
import zipfile

import pytest

from kerascnn import InputError, data
from kerascnn.cli import datasets
from kerascnn.data import DataOptions
from kerascnn.data.ingestion.folder_names import splits_of
from kerascnn.data.ingestion.layouts import recognize_layout
from kerascnn.data.ingestion.own_outputs import OUTPUTS
from support.folders import lay_out, said, write_text
from support.messages import mentioning, names, refused

PHOTOS = "{cat,dog}/{1..3}.jpg"


def classes(root, **options):
    return {item.class_name for item in recognize_layout(root, "x", DataOptions(**options)).labeled}


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        ("train valid test", "training validation test"),
        ("Train VAL Testing", "training validation test"),
        ("training_set dev_set test_set", "training validation test"),
        ("trainingSet testSet", "training test"),
        ("images_train images_val", "training validation"),
        ("train_images test-images", "training test"),
        ("train2017 val2017", "training validation"),
        ("seg_train seg_test seg_pred", "training test test"),
        ("cars_train cars_test", "training test"),
        ("asl_alphabet_train asl_alphabet_test", "training test"),
        ("ILSVRC2012_img_train ILSVRC2012_img_val", "training validation"),
        ("training validation evaluation", "training validation test"),
        ("TrainData Testset", "training test"),
        # Classes.
        ("bullet_train steam_train", ""),
        ("train_station platform", ""),
        ("test_tube beaker", ""),
        ("contrast latest trainer", ""),
    ],
)
def test_names_of_splits(folders, splits):
    found = splits_of(folders.split())
    assert " ".join(found.values()) == splits
    assert not found or list(found) == folders.split()


@pytest.mark.parametrize("folders", ["{Train,Valid,Test}", "{images_train,images_val}", "{my_train,my_test}"])
def test_split_folders_are_never_classes(tmp_path, folders):
    lay_out(tmp_path, f"{folders}/{PHOTOS}")
    assert classes(tmp_path) == {"cat", "dog"}


def test_splits_within_classes(tmp_path):
    lay_out(tmp_path, "{cat,dog}/{train,val}/{1..3}.jpg", "cat/notes/x.txt")
    splits = {item.path.split("/")[1]: item.split for item in recognize_layout(tmp_path, "x").labeled}
    assert splits == {"train": "training", "val": "validation"} and classes(tmp_path) == {"cat", "dog"}


def test_a_class_of_training_only_is_said(tmp_path):
    lay_out(tmp_path, f"train/{PHOTOS}", "train/bird/{1..3}.jpg", f"val/{PHOTOS}")
    names(said(tmp_path), "1 of the classes not in val", "3 classes")


@pytest.mark.parametrize(
    ("folder", "parts"), [("val/bird/1.jpg", ["none of the classes", "bird"]), ("val/1.jpg", ["--leave-out val"])]
)
def test_validation_images_must_have_known_classes(tmp_path, folder, parts):
    names(said(lay_out(tmp_path, f"train/{PHOTOS}", folder)), "refused", *parts)
    assert classes(tmp_path, leave_out=("val",)) == {"cat", "dog"}


@pytest.mark.parametrize("folder", ["test/unknown", "test/images", "Test_images"])
def test_test_images_without_classes_are_named(tmp_path, folder):
    lay_out(tmp_path, f"train/{PHOTOS}", f"{folder}/{{1..3}}.jpg")
    assert classes(tmp_path) == {"cat", "dog"}
    names(said(tmp_path), f"left out: {folder.split('/')[0]} (")


@pytest.mark.parametrize(
    "annotations",
    [
        "annotations/trimaps/{cat,dog}_{1..3}.png",
        "masks/{cat,dog}_{1..3}_mask.png",
        "labels/{cat,dog}_{1..3}.txt",
        "xmls/{cat,dog}_{1..3}.xml",
        "SegmentationClass/{cat,dog}_{1..3}.png",
        "ground_truth/{cat,dog}_{1..3}.jpg",
        "depth/{cat,dog}_{1..3}.png",
        "outlines/{cat,dog}_{1..3}.jpg",
    ],
)
def test_annotations_of_images_in_one_folder(tmp_path, annotations):
    lay_out(tmp_path, "images/{cat,dog}_{1..3}.jpg", annotations)
    assert classes(tmp_path) == {"cat", "dog"}


@pytest.mark.parametrize(
    "annotations",
    [
        "masks/{1..3}.png",
        "{cat,dog}_masks/{1..3}.png",
        "thumbnails/{cat,dog}_{1..3}.png",
        "labels/{cat,dog}/{1..3}.txt",
        "bounding_boxes/{cat,dog}/{1..3}.png",
        "{cat,dog}/masks/{1..3}.png",
        "{cat,dog}/{1..3}_mask.jpg",
        "{cat,dog}/{1..3}.xml",
    ],
)
def test_annotations_of_classes(tmp_path, annotations):
    lay_out(tmp_path, PHOTOS, annotations)
    layout = recognize_layout(tmp_path, "x")
    assert len(layout.labeled) == 6 and {item.class_name for item in layout.labeled} == {"cat", "dog"}
    assert not layout.unreadable and layout.ignored


@pytest.mark.parametrize(
    ("folders", "parts"),
    [
        ("{left,right}/IMG_{2031,2090,3100}.jpg", ["'left' and 'right'", "--leave-out right"]),
        ("{rgb_view,thermal}/{0a1b,7c2f,93de,44aa}.jpg", ["same names"]),
        ("{scans,outlines}/{1..5}.jpg", None),
        ("{depth,shallow}/{1..5}.jpg", ["'depth'", "--layout folders"]),
    ],
)
def test_unclear_companions_are_refused(tmp_path, folders, parts):
    lay_out(tmp_path, folders)
    if parts is None:
        # Counted in each folder, with the same kinds of files: classes, as everywhere.
        assert classes(tmp_path) == {"scans", "outlines"}
    else:
        names(said(tmp_path), "refused", *parts)
        assert len(classes(tmp_path, layout="folders")) == 2


def test_annotations_of_another_kind_of_file_are_no_class(tmp_path):
    lay_out(tmp_path, "scans/{1..5}.jpg", "outlines/{1..5}.png")
    names(said(tmp_path), "refused", "same names", "--leave-out", "--layout folders")


OUTPUT_FILES = {
    "a run": "{recipe.yaml,model.keras,history.csv,curves.png,confusion_matrix.png}",
    "a search": "{search.yaml,report.json,importance.png,trials/0001/curve.png}",
    "an export": "{verification.json,model_card.md,labels.txt,saved_model/x.png}",
    "an evaluation report": "{report.html,metrics.json,predictions.csv,x.png}",
    "an experiment": "{results.json,table.md,curves.png}",
    "explanations": "{filters.png,1.png,1/01-conv1.png,1-2.png,1-2/02-conv2.png,10.png,10/01-conv1.png}",
}


@pytest.mark.parametrize("kind", OUTPUT_FILES)
def test_outputs_are_found_by_their_files(tmp_path, kind):
    lay_out(tmp_path, PHOTOS, f"here/{OUTPUT_FILES[kind]}", f"cat/deep/er/{OUTPUT_FILES[kind]}")
    layout = recognize_layout(tmp_path, "x")
    assert {item.class_name for item in layout.labeled} == {"cat", "dog"} and len(layout.labeled) == 6
    names(layout.description, "left out:", "here", "cat/deep", f"({kind} that kerascnn wrote)")
    # The name alone says nothing.
    assert classes(lay_out(tmp_path / "other", "{runs,reports}/{1..3}.jpg")) == {"runs", "reports"}


def test_quarantined_and_ingested_files_are_outputs(tmp_path):
    lay_out(tmp_path, PHOTOS, "cat-quarantine/cat/9.jpg", "checked/images/{cat,dog}/{1..3}.jpg")
    line = json.dumps({"path": "cat/9.jpg", "reason": "0 bytes", "moved_to": "x"})
    write_text(tmp_path, **{"cat-quarantine/list.jsonl": line + "\n", "checked/kerascnn-manifest.jsonl": "{}"})
    assert classes(tmp_path) == {"cat", "dog"}
    names(said(tmp_path), "cat-quarantine (quarantined files", "checked (")


def test_outputs_have_the_names_that_are_written():
    from pathlib import Path

    from kerascnn.evaluation.report import METRICS_FILE, PAGE_FILE, PREDICTIONS_FILE
    from kerascnn.training import RunFolder
    from kerascnn.training.search.folder import SearchFolder

    run, search = RunFolder(Path()), SearchFolder(Path())
    by_kind = {output.kind: {output.file, *output.beside} for output in OUTPUTS}
    assert {str(run.recipe_file), str(run.model_file), str(run.history_file), str(run.checkpoints)} <= by_kind["a run"]
    assert {str(search.config_file), str(search.best_file), str(search.trials)} <= by_kind["a search"]
    assert {PAGE_FILE, METRICS_FILE, PREDICTIONS_FILE} == by_kind["an evaluation report"]


def test_output_inside_the_data_is_warned_of(photographs, tmp_path, capsys):
    datasets.load(str(photographs), None, DataOptions(), tmp_path)
    assert "inside" not in capsys.readouterr().err
    datasets.load(str(photographs), None, DataOptions(), photographs / "out" / "runs")
    names(capsys.readouterr().err, "recognized: one subfolder per class", "out/runs is inside", str(photographs))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--layout", "inner-folders"], {"cat", "dog"}),
        (["--layout", "folders"], {"alice", "bob"}),
        (["--leave-out", "alice"], {"cat", "dog"}),
    ],
)
def test_options_say_otherwise(tmp_path, photographs, command, options, expected):
    for person in ("alice", "bob"):
        for kind, name in (("cat", "lying"), ("dog", "standing")):
            (tmp_path / person / kind).mkdir(parents=True)
            for n in range(6):
                source = photographs / name / f"{n + 6 * (person == 'bob')}.jpg"
                os.link(source, tmp_path / person / kind / f"{n}.jpg")
    refused(command("ingest", tmp_path), "'alice', 'bob'", "'cat', 'dog'", "--layout", "--leave-out")
    found = json.loads(command("ingest", tmp_path, *options, "--json").out)
    assert found["classes"].keys() == expected and "classes, " in found["layout"]


def test_unknown_options_are_refused(tmp_path):
    lay_out(tmp_path, PHOTOS)
    names(said(tmp_path, layout="folder"), "folder", "did you mean folders")
    names(said(tmp_path, leave_out=("dig",)), "no folder 'dig'")
    with mentioning(InputError, "--letter-case", "join"):
        DataOptions(letter_case="join")


@pytest.mark.parametrize("spelling", ["caf\u00e9", "cafe\u0301"])
def test_spellings_of_unicode_are_one_class(tmp_path, spelling):
    lay_out(tmp_path, "train/{caf\u00e9,dog}/{1..3}.jpg", f"val/{{{spelling},dog}}/{{4..5}}.jpg")
    assert classes(tmp_path) == {"caf\u00e9", "dog"}
    assert ("several ways: caf\u00e9" in said(tmp_path)) == (spelling == "cafe\u0301")


def test_cases_are_one_class_or_several_as_the_user_says(tmp_path):
    lay_out(tmp_path, "Cat/{1..4}.jpg", "cat/{1..3}.jpg", "dog/{1..3}.jpg")
    names(said(tmp_path), "'Cat' (4) and 'cat' (3)", "--letter-case merge", "--letter-case keep")
    assert classes(tmp_path, letter_case="merge") == {"Cat", "dog"}
    assert classes(tmp_path, letter_case="keep") == {"Cat", "cat", "dog"}


def test_an_archive_of_archives(tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name in ("train.zip", "test.tar.gz", "labels.csv"):
            archive.writestr(f"pets/{name}", b"PK")
    with mentioning(InputError, "all.zip", "archives", "pets/train.zip", "pets/test.tar.gz", "unpack"):
        data.load(tmp_path / "all.zip")
    names(said(lay_out(tmp_path / "more", PHOTOS, "rest.zip")), "rest.zip (an archive, which is not unpacked)")


@pytest.mark.parametrize(
    ("files", "parts"),
    [
        (["HAM_images_part_{1..2}/ISIC_{3..6}.jpg", "HAM_segmentations_x/ISIC_{3..6}_segmentation.png"], ["parts"]),
        (["part_{1..3}/a{1..3}.jpg", "extra/b{1..3}.jpg"], ["'part_1'", "dates or parts"]),
        (["{yes,no}/Y{1..4}.jpg", "brain_dataset/{yes,no}/X{5..9}.jpg"], ["'brain_dataset'", "like those beside it"]),
        (["{cat,dog}/{a,b}.jpg", "more/{cat,dog,fox}/{c,d,e}.jpg"], ["'more'", "--leave-out more"]),
        (["pool/p{1..6}.jpg", "sorted/{cat,dog}/q{1..4}.jpg"], ["'pool', 'sorted'", "--layout inner-folders"]),
    ],
)
def test_folders_beside_classes_that_are_none(tmp_path, files, parts):
    names(said(lay_out(tmp_path, *files)), "refused", *parts)


@pytest.mark.parametrize(
    ("files", "parts"),
    [
        (["{cat,cat - Copy,dog}/{a,b,c}.jpg"], ["2 classes", "cat - Copy (a copy of cat)"]),
        (["{cat,cat (2),dog}/{1..4}.jpg"], ["2 classes", "cat (2) (a copy of cat)"]),
        (["{cat,dog}/{1..4}.jpg", "cat copy/x{1..3}.jpg"], ["refused", "'cat copy'", "other files"]),
        (["{Cherry,Cherry 1,Cherry 2}/{1..4}.jpg"], ["3 classes"]),
        (["{cat,dog,New folder}/{1..3}.jpg"], ["refused", "--leave-out 'New folder'", "--layout folders"]),
        (["{cat,dog,dataset}/{1..3}.jpg"], ["refused", "'dataset'", "images of any class"]),
        (["{small,large,full}/{1..3}.jpg"], ["3 classes"]),
        (["{cat,dog,unsorted}/{1..3}.jpg"], ["2 classes", "unsorted (images without a label)"]),
    ],
)
def test_folders_that_programs_and_people_make(tmp_path, files, parts):
    names(said(lay_out(tmp_path, *files)), *parts)


def test_a_series_of_cars_is_a_class(tmp_path):
    lay_out(tmp_path, "{BMW 3 series,BMW 5 series,Audi A4,Audi A6,Saab 900}/{1..3}.jpg")
    assert len(classes(tmp_path)) == 5


def test_lists_of_splits_that_are_not_used_are_named(tmp_path):
    lay_out(tmp_path, "{cat,dog}/{1..4}.jpg")
    (tmp_path / "train.txt").write_text("cat/1\ndog/1\n", encoding="utf-8")
    names(said(tmp_path), "left out: train.txt")


def test_annotations_named_for_their_images(tmp_path):
    lay_out(tmp_path, "{cat,dog}/IM_{1..4}.jpg", "outlines/IM_{1..4}_mask.png")
    names(said(tmp_path), "2 classes", "outlines (annotations of the images beside it)")
