"""Every row of the table "What you have, and what happens" of docs/data.md, executed.

A case makes what is in a row's first cell and returns what the user reads. Whatever is `code` in the row's second
cell must be in that text, and "refused" is in both or in none. A case may use fixtures. A new row needs a case here,
and a new case a row.
"""

import inspect
import io
import itertools
import re
import shutil
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import pytest
from PIL import Image

from kerascnn import InputError, data
from support import published_data
from support.folders import lay_out, said, write_text
from support.images import clinic, landscapes
from support.pages import Page

TITLE = "## What you have, and what happens"
CASES: dict[str, Callable[..., str]] = {}


def row(have: str):
    """Registers the case of the row whose first cell is `have`."""

    def register(case):
        assert have not in CASES, have
        CASES[have] = case
        return case

    return register


def each(root: Path, *makers: Callable[[Path], Path]) -> str:
    """What is said of several folders, line by line: all of them are read, or all are refused."""
    lines = [said(make(root / f"{number}")) for number, make in enumerate(makers)]
    assert len({line.startswith("refused: ") for line in lines}) == 1, lines
    return "\n".join(lines)


def folder_row(have: str, *patterns: str) -> None:
    """Registers a case: a folder of these files, see `lay_out`; " or " divides several folders."""
    folders = [list(files) for is_or, files in itertools.groupby(patterns, "or".__eq__) if not is_or]
    row(have)(lambda tmp_path: each(tmp_path, *(partial(_laid_out, patterns=files) for files in folders)))


def _laid_out(root: Path, patterns: list[str]) -> Path:
    return lay_out(root, *patterns)


def rows() -> dict[str, str]:
    """The second cell of each row, by the first."""
    section = Page("docs/data.md").text.split(TITLE, 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert {len(found) for found in cells} == {2}
    assert len({have for have, _ in cells}) == len(cells)
    return dict(cells)


# Folders and file names.

folder_row("a folder with one subfolder per class: `cat/1.jpg`, `dog/1.jpg`", "{cat,dog}/{1..3}.jpg")
folder_row(
    "images named for their class: `cat.1.jpg`, `great_dane_12.jpg`, `12_cat.jpg`",
    "{cat.,great_dane_}{1..3}.jpg",
    "or",
    "{1..3}_{cat,dog}.jpg",
)
folder_row("images called `IMG_1.jpg` without labels", "IMG_{1..3}.jpg")
folder_row(
    "`train/`, `val/` and `test/` with a subfolder per class",
    "{train,val,test}/{cat,dog}/{1..3}.jpg",
    "or",
    "{Training,Test_set}/{cat,dog}/{1..3}.jpg",
    "or",
    "images_{train,val}/{cat,dog}/{1..3}.jpg",
    "or",
    "{cars_train,cars_test}/{cat,dog}/{1..3}.jpg",
)
folder_row("`train/` and `test/` alone", "{train,test}/{cat,dog}/{1..3}.jpg")
folder_row("a folder per class, with `train/` and `test/` in each", "{cat,dog}/{train,test}/{1..3}.jpg")
folder_row("folders of classes beside `test/` with the same classes", "{cat,dog,test/cat,test/dog}/{1..3}.jpg")
folder_row("`train/` with classes, `test/` without", "train/{cat,dog}/{1..3}.jpg", "test/{1..3}.jpg")
folder_row("`train/` with classes, `val/` without", "train/{cat,dog}/{1..3}.jpg", "val/{1..3}.jpg")
folder_row("`train/`, `valid/`, `test/` of images without any labels", "{train,valid,test}/{1..3}.jpg")
folder_row("classes `bus/`, `car/` and `train/`", "{bus,car,train}/{1..3}.jpg")
folder_row(
    "two training folders, `trainingSet/` and `trainingSample/`",
    "{trainingSet,trainingSample,testSet}/{0,1}/{1..3}.jpg",
)
folder_row(
    "a copy of the data in itself: `chest_xray/chest_xray/`",
    "{chest_xray,chest_xray/chest_xray}/{train,val}/{NORMAL,PNEUMONIA}/{1..3}.jpeg",
)
folder_row(
    "photographs, and what `kerascnn` wrote beside them",
    "{cat,dog}/{1..3}.jpg",
    "runs/resnet20-photos/{recipe.yaml,model.keras,curves.png}",
    "or",
    "{cat,dog}/{1..3}.jpg",
    "{a/search.yaml,a/trials/1/x.png,b/verification.json,b/model_card.md,b/x.png,c/report.html,c/metrics.json}",
    "{d/filters.png,d/1.png,d/1/01-conv1.png,e/results.json,e/table.md,e/curves.png}",
)
folder_row(
    "images and annotations: `images/Pug_1.jpg`, `annotations/trimaps/Pug_1.png`",
    "images/{Beagle,Pug}_{1..3}.jpg",
    "annotations/trimaps/{Beagle,Pug}_{1..3}.png",
)
folder_row("masks beside classes: `cat/`, `dog/`, `masks/`", "{cat,dog}/{1..3}.jpg", "masks/{1..3}.png")
folder_row(
    "masks in each class: `benign/1_mask.png`, `COVID/masks/1.png`",
    "{benign,malignant}/{1..3}{.png,_mask.png}",
    "or",
    "{COVID,Normal}/{images,masks}/{1..3}.png",
)
folder_row("`mask/` and `no_mask/` of photographs", "{mask,no_mask}/{1..3}.jpg")
folder_row("`left/` and `right/` with the same file names", "{left,right}/IMG_{2031,2044,2100}.jpg")
folder_row(
    "PlantVillage's images in `color/`, `grayscale/` and `segmented/`",
    "{color,grayscale,segmented}/{Apple,Corn}/{1..3}.jpg",
)
folder_row("parts or dates: `part_1/`, `2023-05/`", "part_{1..3}/{1..3}.jpg", "or", "2023-0{5..6}/{1..3}.jpg")
folder_row(
    "two levels: `animals/cat/`, `vehicles/car/`", "{animals/cat,animals/dog,vehicles/car,vehicles/bus}/{1..3}.jpg"
)
folder_row("folders with the same folders: `alice/cat/`, `bob/cat/`", "{alice,bob}/{cat,dog}/{1..3}.jpg")
folder_row("a folder `images/` or `New folder/` beside classes", "{cat,dog,images}/{1..3}.jpg", "or",
           "{cat,dog,New folder}/{1..3}.jpg")  # fmt: skip
folder_row("a copy of a class: `cat - Copy/` beside `cat/`", "{cat,cat - Copy,dog}/{1..3}.jpg")
folder_row("the same with other images in it", "{cat,dog}/{1..3}.jpg", "cat - Copy/{4..6}.jpg")
folder_row("more images of the classes in a folder beside them: `cat/`, `dog/`, `more/cat/`",
           "{cat,dog}/{1..3}.jpg", "more/cat/{4..6}.jpg")  # fmt: skip
folder_row("more images beside the folders than in them", "{cat,dog}/1.jpg", "photo-{a,b,c,d}.jpg")
folder_row("class names that differ in case: `Cat/` and `cat/`", "{Cat,cat,dog}/{1..3}.jpg")
folder_row("class names with accents in two spellings of Unicode", "{caf\u00e9,cafe\u0301,dog}/{1..3}.jpg")


@row("an archive of archives, or a folder of them")
def _(tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name in ("train.zip", "test1.zip"):
            archive.writestr(name, b"PK")
    with pytest.raises(InputError) as caught:
        data.load(tmp_path / "all.zip")
    folder = each(tmp_path / "folder", lambda root: lay_out(root, "{train,test1}.zip", "sampleSubmission.csv"))
    return f"{folder}\nrefused: {caught.value}"


# Tables, exports and published data.


@row("Kaggle: `train/`, `labels.csv`, `test/` and `sample_submission.csv`")
def _(tmp_path):
    labels = "".join(f"a{n},{('pug', 'beagle')[n % 2]}\n" for n in range(4))
    template = "".join(f"b{n},0.5,0.5\n" for n in range(4))
    tables = {"labels": f"id,breed\n{labels}", "sample_submission": f"id,beagle,pug\n{template}"}
    return said(lay_out(tmp_path, "train/a{0..3}.jpg", "test/b{0..3}.jpg", **tables))


@row("a Roboflow export: folders, or flat images with a `_classes.csv` in each split")
def _(tmp_path):
    def flat(root):
        for split in ("train", "valid", "test"):
            lay_out(root / split, f"{split}{{0..3}}_jpg.rf.0a1b.jpg", "README.txt")
            rows = "".join(f"{split}{n}_jpg.rf.0a1b.jpg, {n % 2}, {1 - n % 2}\n" for n in range(4))
            write_text(root / split, **{"_classes.csv": f"filename, cat, dog\n{rows}"})
        return root

    return each(tmp_path, flat, lambda root: lay_out(root, "{train,valid,test}/{cat,dog}/{0..3}_jpg.rf.0a1b.jpg"))


@row("a Label Studio export, JSON or CSV, with one choice per image")
def _(tmp_path):
    rows = "".join(f"{n},1,{('cat', 'dog')[n % 2]},{n},/data/upload/1/0f3ab2c{n}-{n}.jpg,{n}.5\n" for n in range(4))
    table = {"export": f"annotation_id,annotator,choice,id,image,lead_time\n{rows}"}
    return each(tmp_path, published_data.label_studio, lambda root: lay_out(root, "{0..3}.jpg", **table))


@row("the same with several choices of an image")
def _(tmp_path):
    return said(published_data.label_studio(tmp_path, several=True))


@row("the same with different choices of two people")
def _(tmp_path):
    return said(published_data.label_studio(tmp_path, others=True))


TAGS = ("fog", "sea", "sun")
COMBINATIONS = [[name for bit, name in enumerate(TAGS) if number >> bit & 1] for number in range(1, 8)]


@row("tags in one cell: `train.csv` with `clear primary`, or commas or bars between them")
def _(tmp_path):
    rows = "".join(f"{number},{' '.join(COMBINATIONS[number % 7])}\n" for number in range(14))
    return said(lay_out(tmp_path, "images/{0..13}.jpg", train=f"image,tags\n{rows}"))


@row("a column of 0 and 1 for each tag")
def _(tmp_path):
    bits = [[str(int(name in names)) for name in TAGS] for names in COMBINATIONS]
    rows = "".join(f"{number},{','.join(row)}\n" for number, row in enumerate(bits))
    return said(lay_out(tmp_path, "images/{0..6}.jpg", train=f"image,{','.join(TAGS)}\n{rows}"))


@row("one row per image and tag")
def _(tmp_path):
    rows = "".join(f"{number},{name}\n" for number, names in enumerate(COMBINATIONS) for name in names)
    return said(lay_out(tmp_path, "images/{0..6}.jpg", train=f"image,label\n{rows}"))


@row("a FiftyOne export, as folders or with `labels.json`")
def _(tmp_path):
    return each(tmp_path, published_data.fiftyone, lambda root: lay_out(root, "{cat,dog,_unlabeled}/{1..3}.jpg"))


@row("CUB-200-2011, as published")
def _(tmp_path):
    return said(published_data.cub_200(tmp_path))


@row("Oxford Flowers-102, as published")
def _(tmp_path):
    return said(published_data.flowers_102(tmp_path))


@row("Food-101, as published")
def _(tmp_path):
    return said(published_data.food_101(tmp_path))


@row("Stanford Dogs, as published")
def _(tmp_path):
    return said(published_data.stanford_dogs(tmp_path))


@row("Stanford Cars, as published")
def _(tmp_path):
    return said(published_data.stanford_cars(tmp_path))


@row("Oxford-IIIT Pets, as published")
def _(tmp_path):
    return said(published_data.oxford_pets(tmp_path))


@row("Caltech-101, as published")
def _(tmp_path):
    return said(published_data.caltech_101(tmp_path))


@row("Tiny ImageNet, as published")
def _(tmp_path):
    return said(published_data.tiny_imagenet(tmp_path))


@row("ImageNet, as published, with `LOC_val_solution.csv` or its validation images in folders")
def _(tmp_path):
    folders = "ILSVRC/Data/CLS-LOC/{train,val}/{n01440764,n01443537}/{1..3}.JPEG"
    return each(tmp_path, published_data.imagenet, lambda root: lay_out(root, folders))


@row("Places365, as published, with its lists or as folders")
def _(tmp_path):
    folders = "places365_standard/{train,val}/{airfield,zen_garden}/{1..3}.jpg"
    return each(tmp_path, published_data.places365, lambda root: lay_out(root, folders))


@row("ImageNet or Tiny ImageNet without the labels of its validation images")
def _(tmp_path):
    def without(name, make):
        return lambda root: (make(root), next(root.rglob(name)).unlink())[0]

    lists = {"LOC_val_solution.csv": published_data.imagenet, "val_annotations.txt": published_data.tiny_imagenet}
    return each(tmp_path, *(without(name, make) for name, make in lists.items()))


@row("EuroSAT, MNIST as folders, Intel's scenes and the like")
def _(tmp_path):
    scenes = "{seg_train/seg_train,seg_test/seg_test}/{sea,forest}/{1..3}.jpg", "seg_pred/seg_pred/{1..3}.jpg"
    patterns = ["2750/{Forest/Forest,River/River}_{1..3}.jpg"], ["{training,testing}/{0..9}/{1..2}.png"], scenes
    return each(tmp_path, *(partial(_laid_out, patterns=one) for one in patterns))


# Tables.


def listed(titles: str, pattern: str, count: int = 6) -> str:
    """A table of rows like "im{n}.jpg,{kind}"; n counts from 0, kind is cat or dog, sex changes every second row."""
    values = ({"n": n, "kind": ("cat", "dog")[n % 2], "not": n % 2, "sex": "mf"[n // 2 % 2]} for n in range(count))
    return "\n".join([titles, *(pattern.format(**value, is_=1 - value["not"]) for value in values)])


def table_row(have: str, *patterns: str, **tables: str) -> None:
    """Registers a case: a folder of these files, see `lay_out`, by default six images, and tables by their paths."""

    def case(tmp_path):
        lay_out(tmp_path, *(patterns or ("im{0..5}.jpg",)))
        return said(write_text(tmp_path, **tables))

    row(have)(case)


FILE_AND_LABEL = listed("file,label", "im{n}.jpg,{kind}")

table_row(
    "HAM10000's `lesion_id,image_id,dx,dx_type,age,sex,localization`, in any order",
    **{"labels.csv": listed("lesion_id,image_id,dx,dx_type,age,sex", "L{sex},im{n},{kind},{sex} test,5{n},{sex}")},
)
table_row("one column per class: `image,MEL,NV`", **{"labels.csv": listed("image,MEL,NV", "im{n},{is_}.0,{not}.0")})
table_row(
    "sizes and the like beside classes: `fname,width,height,quality,kind`",
    **{"labels.csv": listed("fname,width,height,quality,kind", "im{n}.jpg,640,48{n},{not},{kind}")},
)
table_row("number and name of a class: `label`, `label_name`",
          **{"labels.csv": listed("file,label,label_name", "im{n}.jpg,{not},{kind}")})  # fmt: skip
table_row("two columns that may be the classes: `species`, `breed`",
          **{"labels.csv": listed("file,species,breed", "im{n}.jpg,{sex},{kind}")})  # fmt: skip
table_row(
    "a diagnosis of 0 and 1 beside other facts: `file,sex,malignant`",
    **{"labels.csv": "file,sex,malignant\n" + "".join(f"im{n}.jpg,{'mf'[n // 3]},{n % 2}\n" for n in range(6))},
)
table_row("a measured value as label: 0.5, 1.5, 2.5",
          **{"labels.csv": "file,label\n" + "".join(f"im{n}.jpg,{n % 3}.5\n" for n in range(6))})  # fmt: skip
table_row("predictions beside labels: `predictions.csv`",
          **{"labels.csv": FILE_AND_LABEL, "predictions.csv": FILE_AND_LABEL})  # fmt: skip
table_row(
    "a column of splits with other values: `split` of 0, 1 and 2",
    **{"labels.csv": "file,label,split\n" + "".join(f"im{n}.jpg,{'ab'[n % 2]},{n // 2}\n" for n in range(6))},
)


@row("a table in Chinese that is not in UTF-8")
def _(tmp_path):
    lay_out(tmp_path, "im{0..5}.jpg")
    (tmp_path / "labels.csv").write_bytes(
        FILE_AND_LABEL.replace("cat", "\u732b").replace("dog", "\u72d7").encode("gbk")
    )
    return said(tmp_path)


table_row("a label of one value, as in a template", **{"labels.csv": listed("file,label", "im{n}.jpg,0")})
table_row(
    "paths of another machine: `/kaggle/input/ds/s1/im0.jpg`",
    "s{1,2}/im{0..5}.jpg",
    **{"labels.csv": listed("path,label", "/kaggle/input/ds/s1/im{n}.jpg,{kind}")},
)
table_row(
    "other suffixes, cases and zeros: `7.jpg` for `000007.PNG`",
    "00000{0..5}.PNG",
    **{"labels.csv": listed("file,label", "{n}.jpg,{kind}")},
)
table_row("a table whose files are not there", "s{1,2}/{0..5}.jpg", **{"labels.csv": FILE_AND_LABEL})
table_row("a table some of whose files are there", "im{0..3}.jpg", **{"labels.csv": FILE_AND_LABEL})
table_row("names of two files each", "{a,b}/im{0..5}.jpg", **{"labels.csv": FILE_AND_LABEL})
table_row("a last row such as `Total: 6 images`", **{"labels.csv": f"{FILE_AND_LABEL}\nTotal: 6 images"})
table_row("a table in a folder such as `meta/`", "images/im{0..5}.jpg", **{"meta/labels.csv": FILE_AND_LABEL})
table_row(
    "`train.csv` and `val.csv` with the same titles",
    "im{0..5}.jpg",
    "new{0..5}.jpg",
    **{"train.csv": FILE_AND_LABEL, "val.csv": FILE_AND_LABEL.replace("im", "new")},
)
table_row("two tables that contradict each other",
          **{"a.csv": FILE_AND_LABEL, "b.csv": FILE_AND_LABEL.replace("im0.jpg,cat", "im0.jpg,dog")})  # fmt: skip
table_row("two tables with other titles",
          **{"a.csv": FILE_AND_LABEL, "b.csv": listed("file,species", "im{n}.jpg,{sex}")})  # fmt: skip
table_row("an image that a table has in two classes", **{"labels.csv": f"{FILE_AND_LABEL}\nim0.jpg,dog"})
table_row(
    "folders of classes and a table of facts: `file,sex`",
    "{cat,dog}/{0..5}.jpg",
    **{"facts.csv": listed("file,sex", "cat/{n}.jpg,{sex}") + "\n" + listed("", "dog/{n}.jpg,{sex}")},
)
table_row(
    "a table for `test/` alone, and folders of classes in `train/`",
    "train/{cat,dog}/{0..5}.jpg",
    "test/im{0..5}.jpg",
    **{"test.csv": FILE_AND_LABEL},
)
table_row("folders of classes and a spreadsheet", "{cat,dog}/{0..5}.jpg", **{"labels.xlsx": ""})


@row('a spreadsheet\'s "Unicode text"')
def _(tmp_path):
    lay_out(tmp_path, "im{0..5}.jpg")
    (tmp_path / "labels.txt").write_bytes(FILE_AND_LABEL.replace(",", "\t").encode("utf-16"))
    return said(tmp_path)


# A trained model and new images.


@pytest.fixture
def evaluated(tiny_stripes_run, command):
    """What `kerascnn evaluate` says about the run on a source, or on its own data."""

    def run(*arguments):
        ended = command("evaluate", tiny_stripes_run.folder.path, *arguments)
        return f"refused: {ended.err}" if ended.status == 2 else ended.err + " ".join(ended.out.split())

    return run


@row("new images of the model's classes, for `evaluate RUN --data`")
def _(evaluated, holdout):
    return evaluated("--data", holdout)


@row("the same, of one class")
def _(evaluated, holdout):
    shutil.rmtree(holdout / "standing")
    return evaluated("--data", holdout)


@row("its images alone: `holdout/lying/1.jpg`, given as `holdout/lying`")
def _(evaluated, holdout):
    return evaluated("--data", holdout / "lying")


@row("copies of training images among them")
def _(evaluated, holdout, photographs):
    for path in data.load(photographs).training.paths[:2]:
        shutil.copy(path, holdout / "lying")
    return evaluated("--data", holdout)


@row("a class among them that the model does not know")
def _(evaluated, holdout):
    shutil.copytree(holdout / "standing", holdout / "flying")
    return evaluated("--data", holdout)


@row("other upper and lower case in a class name than the model's")
def _(evaluated, holdout):
    (holdout / "lying").rename(holdout / "Lying")
    return evaluated("--data", holdout)


@row("only classes that the model does not know")
def _(evaluated, holdout):
    for name in ("lying", "standing"):
        (holdout / name).rename(holdout / f"{name}-cat")
    return evaluated("--data", holdout)


@row("the run's own data, for `evaluate RUN`")
def _(evaluated):
    return evaluated()


def choice_of(command, monkeypatch, *arguments):
    """What `kerascnn train` says before it trains."""
    monkeypatch.setattr("kerascnn.training.train", Mock(side_effect=InputError("enough")))
    return command("train", *arguments).err


@row("photographs, for `train` without `--model`")
def _(command, monkeypatch, photographs):
    return choice_of(command, monkeypatch, "--data", photographs)


@row("small images, for `train` without `--model`")
def _(command, monkeypatch):
    return choice_of(command, monkeypatch, "--limit", 100)


@row("images of any shape and color, for `--image-size 24x40 --channels 1`")
def _(command, monkeypatch, photographs):
    return choice_of(command, monkeypatch, "--data", photographs, "--image-size", "24x40", "--channels", 1)


@row("another form of an image size, `--image-size 24,40`")
def _(command):
    return f"refused: {command('train', '--image-size', '24,40').err}"


@row("a model that has learned next to nothing")
def _(evaluated):
    # A network of a few weights, trained for two epochs on forty images; half of them are of each class.
    return evaluated("--split", "all")


# Image formats, unreadable files, and very many files.


@pytest.fixture
def ingested(command, tmp_path):
    """A function that adds files to three photographs in each of two classes, and gives the report of `ingest`."""
    folder = tmp_path / "photos"
    for kind, number in itertools.product(("cat", "dog"), range(3)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        Image.effect_noise((16, 16), 50 + number).save(folder / kind / f"{kind}_{number}.png")

    def report(*options, **files):
        for name, contents in files.items():
            (folder / "cat" / name).write_bytes(contents)
        shown = command("ingest", folder, "--to", tmp_path / "stored", *options)
        return f"refused: {shown.err}" if shown.status else shown.out

    return report


def encoded(form, mode="RGB"):
    buffer = io.BytesIO()
    color = Image.merge("RGB", [Image.effect_noise((16, 16), spread) for spread in (60, 80, 100)])
    color.convert(mode if mode != "I;16" else "L").convert(mode).save(buffer, form)
    return buffer.getvalue()


@row("a phone's HEIC photographs, without the extra `heif`")
def _(ingested, without_heif):
    return ingested(**{"IMG_1.HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"})


@row("AVIF, PNG of 16 bits, BMP with a palette, CMYK")
def _(ingested):
    forms = {"1.avif": ("AVIF", "RGB"), "2.png": ("PNG", "I;16"), "3.bmp": ("BMP", "P"), "4.jpg": ("JPEG", "CMYK")}
    return ingested(**{name: encoded(*form) for name, form in forms.items()})


@row("a camera's raw file among photographs")
def _(ingested):
    return ingested(**{"1.cr2": b"II*\0\x10\0\0\0CR\2\0" + bytes(64)})


@row("JPEG XL, SVG, PDF, pointers of Git LFS")
def _(ingested):
    files = {
        "1.jxl": b"\xff\x0a",
        "2.svg": b"<svg>",
        "3.pdf": b"%PDF-1.7",
        "4.jpg": b"version https://git-lfs.github.com",
    }
    return ingested(**files)


@row("a Live Photo: `IMG_1.mov` beside `IMG_1.jpg`")
def _(ingested):
    return ingested(**{"IMG_1.mov": b"\0\0\0\x14ftypqt  ", "IMG_1.jpg": encoded("JPEG")})


@row("a file that a table has in two classes, beside files that cannot be read")
def _(ingested, tmp_path):
    rows = [f"{kind}/{kind}_{number}.png,{kind}" for kind in ("cat", "dog") for number in range(3)]
    (tmp_path / "photos").mkdir(exist_ok=True)
    (tmp_path / "photos" / "labels.csv").write_text(
        "\n".join(["file,label", *rows, "cat/cat_1.png,dog", "cat/1.jpg,cat"])
    )
    return ingested(**{"1.jpg": b""})


@row("files that cannot be read, for the second command")
def _(ingested, tmp_path, capsys):
    from kerascnn.cli import datasets

    ingested(**{"1.jpg": b""})
    datasets.load(str(tmp_path / "stored"), None, data.DataOptions())
    return capsys.readouterr().err


@row("resized or recompressed copies of images")
def _(command, tmp_path):
    folder = landscapes(tmp_path / "photos", 5)
    for number in range(3):
        image = Image.open(folder / "cat" / f"{number}.png")
        image.resize((80, 80)).save(folder / "cat" / f"small-{number}.jpg", quality=80)
    return command("ingest", folder).out


@row("several images of a patient, for `--group-column patient`")
def _(command, tmp_path):
    return command("ingest", clinic(tmp_path, [f"p{n % 7}" for n in range(20)]), "--group-column", "patient").out


@row("a patient in `train` and in `val` of a table, for `--group-column patient`")
def _(command, tmp_path):
    folder = clinic(tmp_path, ["p1", "p2", "p1", "p3"] * 2, ["train", "train", "val", "val"] * 2)
    return "refused: " + command("ingest", folder, "--group-column", "patient").err


@row("validation images in another folder, for `--val-data`")
def _(command, tmp_path):
    other = landscapes(tmp_path / "other", 2, seed=1)
    return command("ingest", landscapes(tmp_path / "photos", 5), "--val-data", other).out


@row("a source with its own split, for `--fold 2/5`")
def _(command, tmp_path):
    for seed, split in enumerate(("train", "val")):
        landscapes(tmp_path / "photos" / split, 5, seed)
    return command("ingest", tmp_path / "photos", "--fold", "2/5").out


@row("very many files")
def _(ingested):
    return ingested(**{"1.jpg": encoded("JPEG")})


@row("several machines, with `--shard 1/2` and `--shard 2/2`")
def _(ingested):
    return ingested("--shard", "1/2") + ingested("--shard", "2/2")


@row("a part manifest that was copied in part")
def _(ingested, tmp_path):
    ingested("--shard", "1/2")
    path = tmp_path / "stored" / "kerascnn-manifest-1-of-2.jsonl"
    path.write_bytes(path.read_bytes()[:-30])
    return ingested()


# The table of rows and cases.


def test_every_row_has_a_case_and_every_case_a_row():
    assert rows().keys() == CASES.keys()


@pytest.mark.parametrize("have", CASES)
def test_what_happens(have, request):
    happens, case = rows()[have], CASES[have]
    shown = case(**{name: request.getfixturevalue(name) for name in inspect.signature(case).parameters})
    missing = [text for text in re.findall(r"`([^`]+)`", happens) if text not in shown]
    assert not missing, f"{shown}\nlacks {missing}"
    assert "`" in happens
    assert ("refused" in happens) == ("refused: " in shown), shown
