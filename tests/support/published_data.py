"""Skeletons of published data sets, as their documentation describes them: every folder and list, few empty images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from scipy.io import savemat

from support.folders import lay_out, write_text


def cub_200(root: Path) -> Path:
    """CUB-200-2011 as in CUB_200_2011.tgz."""
    kinds = ("001.Black_footed_Albatross", "002.Laysan_Albatross")
    files = [f"{kind}/{kind[4:]}_{n:04}_{79 + n}.jpg" for kind in kinds for n in range(1, 4)]
    base = lay_out(root, *(f"CUB_200_2011/images/{file}" for file in files)) / "CUB_200_2011"
    lay_out(base, "attributes/attributes.txt", "parts/parts.txt", "README")
    return write_text(
        base,
        **{
            "images.txt": "".join(f"{n} {file}\n" for n, file in enumerate(files, 1)),
            "image_class_labels.txt": "".join(f"{n} {1 + (n > 3)}\n" for n in range(1, 7)),
            "train_test_split.txt": "".join(f"{n} {int(n % 3 > 0)}\n" for n in range(1, 7)),
            "classes.txt": "".join(f"{n} {kind}\n" for n, kind in enumerate(kinds, 1)),
            "bounding_boxes.txt": "".join(f"{n} 60.0 27.0 325.0 304.0\n" for n in range(1, 7)),
        },
    ).parent


def flowers_102(root: Path) -> Path:
    """Oxford Flowers-102: 102flowers.tgz, imagelabels.mat and setid.mat."""
    lay_out(root, *(f"jpg/image_{n:05}.jpg" for n in range(1, 9)))
    savemat(root / "imagelabels.mat", {"labels": np.array([[77, 77, 77, 77, 3, 3, 3, 3]], np.uint8)})
    sets = {"trnid": np.array([[1, 2, 5]]), "valid": np.array([[3, 6]]), "tstid": np.array([[4, 7, 8]])}
    savemat(root / "setid.mat", sets)
    return root


def food_101(root: Path) -> Path:
    """Food-101 as in food-101.tar.gz."""
    base = root / "food-101"
    lists = {
        name: [f"{kind}/{100 * n + k}" for k, kind in enumerate(("apple_pie", "waffles"), 1) for n in numbers]
        for name, numbers in (("train", (1, 2, 3)), ("test", (4,)))
    }
    lay_out(base, *(f"images/{file}.jpg" for files in lists.values() for file in files), "license_agreement.txt")
    texts = {f"meta/{name}.txt": "\n".join(files) + "\n" for name, files in lists.items()}
    by_class = {name: {kind: [f for f in files if f.startswith(kind)] for kind in ("apple_pie", "waffles")}
                for name, files in lists.items()}  # fmt: skip
    texts |= {f"meta/{name}.json": json.dumps(files) for name, files in by_class.items()}
    texts |= {"meta/classes.txt": "apple_pie\nwaffles\n", "meta/labels.txt": "Apple pie\nWaffles\n"}
    return write_text(base, **texts).parent


def stanford_dogs(root: Path) -> Path:
    """Stanford Dogs: images.tar, annotation.tar and lists.tar."""
    kinds = ("n02085620-Chihuahua", "n02085782-Japanese_spaniel")
    files = [f"{kind}/{kind[:9]}_{n}.jpg" for kind in kinds for n in (10074, 10131, 10621)]
    lay_out(root, *(f"Images/{file}" for file in files), *(f"Annotation/{file[:-4]}" for file in files))
    for name, chosen in (("file", files), ("train", files[:2] + files[3:5]), ("test", [files[2], files[5]])):
        cells = np.array([[file] for file in chosen], dtype=object)
        savemat(root / f"{name}_list.mat", {"file_list": cells, "labels": np.ones((len(chosen), 1))})
    return root


def stanford_cars(root: Path) -> Path:
    """Stanford Cars: cars_train.tgz, cars_test.tgz, car_devkit.tgz and the labels of the test images."""
    lay_out(root, *(f"cars_{name}/{n:05}.jpg" for name in ("train", "test") for n in range(1, 5)))
    (root / "devkit").mkdir()
    names = np.array([["AM General Hummer SUV 2000", "Acura RL Sedan 2012"]], dtype=object)
    savemat(root / "devkit" / "cars_meta.mat", {"class_names": names})
    fields = [("bbox_x1", int), ("class", int), ("fname", object)]
    rows = np.array([[(39, 1 + n % 2, f"{n:05}.jpg") for n in range(1, 5)]], dtype=fields)
    savemat(root / "devkit" / "cars_train_annos.mat", {"annotations": rows})
    savemat(root / "cars_test_annos_withlabels.mat", {"annotations": rows})
    return root


def oxford_pets(root: Path) -> Path:
    """Oxford-IIIT Pets: images.tar.gz with its stray .mat files, and annotations.tar.gz."""
    files = [f"{kind}_{n}" for kind in ("Abyssinian", "american_bulldog") for n in (1, 2, 10, 100)]
    lay_out(
        root,
        *(f"images/{file}.jpg" for file in files),
        "images/Abyssinian_100.mat",
        *(f"annotations/trimaps/{file}.png" for file in files),
        *(f"annotations/trimaps/._{file}.png" for file in files),
        *(f"annotations/xmls/{file}.xml" for file in files[:4]),
        "annotations/README",
    )
    lines = {file: f"{file} {1 + (n > 3)} {1 + (n > 3)} 1\n" for n, file in enumerate(files)}
    head = "#Image CLASS-ID SPECIES BREED ID\n#ID: 1:37 Class ids\n#SPECIES: 1:Cat 2:Dog\n"
    trainval, test = files[:3] + files[4:7], [files[3], files[7]]
    return write_text(
        root,
        **{
            "annotations/list.txt": head + "".join(lines.values()),
            "annotations/trainval.txt": "".join(lines[file] for file in trainval),
            "annotations/test.txt": "".join(lines[file] for file in test),
        },
    )


def caltech_101(root: Path) -> Path:
    """Caltech-101 as in caltech-101.zip, unpacked in full."""
    base = root / "caltech-101"
    kinds = ("accordion", "airplanes", "BACKGROUND_Google")
    lay_out(base, *(f"101_ObjectCategories/{kind}/image_{n:04}.jpg" for kind in kinds for n in range(1, 4)))
    lay_out(base, *(f"Annotations/{kind}/annotation_{n:04}.mat" for kind in kinds[:2] for n in range(1, 4)))
    return lay_out(base, "show_annotation.m").parent


def tiny_imagenet(root: Path) -> Path:
    """Tiny ImageNet as in tiny-imagenet-200.zip."""
    base, kinds = root / "tiny-imagenet-200", ("n01443537", "n01629819")
    lay_out(
        base,
        *(f"train/{kind}/images/{kind}_{n}.JPEG" for kind in kinds for n in range(4)),
        *(f"val/images/val_{n}.JPEG" for n in range(4)),
        *(f"test/images/test_{n}.JPEG" for n in range(3)),
    )
    boxes = {f"train/{kind}/{kind}_boxes.txt": f"{kind}_0.JPEG\t0\t10\t63\t58\n" for kind in kinds}
    labels = "".join(f"val_{n}.JPEG\t{kinds[n % 2]}\t0\t32\t44\t62\n" for n in range(4))
    words = "n01443537\tgoldfish, Carassius auratus\nn01629819\tEuropean fire salamander, Salamandra salamandra\n"
    lists = {"wnids.txt": "\n".join(kinds) + "\n", "words.txt": words, "val/val_annotations.txt": labels}
    return write_text(base, **boxes, **lists).parent


def imagenet(root: Path) -> Path:
    """ImageNet as in the archive of Kaggle's ImageNet Object Localization Challenge."""
    kinds, base = ("n01440764", "n01443537"), "ILSVRC/Data/CLS-LOC"
    lay_out(
        root,
        *(f"{base}/train/{kind}/{kind}_{n}.JPEG" for kind in kinds for n in (10026, 10027, 10029)),
        *(f"{base}/val/ILSVRC2012_val_{n:08}.JPEG" for n in range(1, 5)),
        *(f"{base}/test/ILSVRC2012_test_{n:08}.JPEG" for n in range(1, 4)),
        *(f"ILSVRC/Annotations/CLS-LOC/val/ILSVRC2012_val_{n:08}.xml" for n in range(1, 5)),
        "ILSVRC/ImageSets/CLS-LOC/train_cls.txt",
        "ILSVRC/ImageSets/CLS-LOC/val.txt",
    )
    head = "ImageId,PredictionString\n"
    val = "".join(f"ILSVRC2012_val_{n:08},{kinds[n % 2]} 85 1 499 272 \n" for n in range(1, 5))
    train = "".join(f"{kind}_{n},{kind} 13 22 477 298 \n" for kind in kinds for n in (10026, 10027, 10029))
    sample = "".join(f"ILSVRC2012_test_{n:08},1 0 0 300 300\n" for n in range(1, 4))
    return write_text(
        root,
        **{
            "LOC_val_solution.csv": head + val,
            "LOC_train_solution.csv": head + train,
            "LOC_sample_submission.csv": head + sample,
            "LOC_synset_mapping.txt": "n01440764 tench, Tinca tinca\nn01443537 goldfish, Carassius auratus\n",
        },
    )


def places365(root: Path) -> Path:
    """Places365-Standard, the small images and the lists of filelist_places365-standard.tar."""
    kinds = ("/a/airfield", "/f/field/cultivated")
    train = [f"{kind}/{n:08}.jpg" for kind in kinds for n in range(1, 4)]
    lay_out(root, *(f"data_256{file}" for file in train))
    lay_out(root, *(f"val_256/Places365_val_{n:08}.jpg" for n in range(1, 5)))
    lay_out(root, *(f"test_256/Places365_test_{n:08}.jpg" for n in range(1, 3)))
    return write_text(
        root,
        **{
            "categories_places365.txt": "".join(f"{kind} {n}\n" for n, kind in enumerate(kinds)),
            "places365_train_standard.txt": "".join(f"{file} {int('/f/' in file)}\n" for file in train),
            "places365_val.txt": "".join(f"Places365_val_{n:08}.jpg {n % 2}\n" for n in range(1, 5)),
            "places365_test.txt": "".join(f"Places365_test_{n:08}.jpg\n" for n in range(1, 3)),
        },
    )


def fiftyone(root: Path) -> Path:
    """The FiftyOneImageClassificationDataset format: data/ and labels.json."""
    files = {"0a1b": 0, "2c3d": 1, "4e5f": 0, "6a7b": 1, "8c9d": None}
    lay_out(root, *(f"data/{name}.jpg" for name in files))
    return write_text(root, **{"labels.json": json.dumps({"classes": ["cat", "dog"], "labels": files})})


def label_studio(root: Path, several: bool = False, others: bool = False) -> Path:
    """Label Studio's JSON export of an image classification, with the images as they were before the upload."""
    lay_out(root, *(f"images/{n}.jpg" for n in range(5)))
    tasks = []
    for n in range(4):
        choices = ["cat", "dog"] if several and n == 0 else [("cat", "dog")[n % 2]]
        result = {"type": "choices", "value": {"choices": choices}, "from_name": "choice", "to_name": "image"}
        annotation = {"id": n, "was_cancelled": False, "result": [result], "completed_by": 1, "lead_time": 3.4}
        other = {**annotation, "result": [{**result, "value": {"choices": ["fox"]}}], "completed_by": 2}
        tasks.append(
            {
                "id": n,
                "annotations": [annotation, *([other] if others else [])],
                "data": {"image": f"/data/upload/1/0f3ab2c{n}-{n}.jpg"},
            }
        )
    return write_text(root, **{"project-1-at-2026-11-28.json": json.dumps(tasks)})
