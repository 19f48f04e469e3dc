"""TFRecord shards: written, read back, damaged."""

import json
import multiprocessing
import os
import signal

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerascnn import data
from kerascnn.data.augment.augmentation import Augmentation
from kerascnn.data.pipeline.pipeline import evaluation_batches, training_batches
from kerascnn.data.pipeline.tfrecords import INDEX, load_records, write_records
from kerascnn.errors import InputError
from support.messages import mentioning

VIEWS = {"classes": 2, "size": 32, "crop_fraction": 0.875, "batch_size": 4}


@pytest.fixture
def records(mixed, tmp_path):
    return write_records(mixed, tmp_path / "records", shards=3)


def test_the_same_data_set_comes_back(mixed, records):
    loaded = load_records(records, verify=True)
    assert loaded.class_names == mixed.class_names
    assert (loaded.name, loaded.allows_horizontal_flip) == (mixed.name, mixed.allows_horizontal_flip)
    for split in ("training", "validation"):
        np.testing.assert_array_equal(getattr(loaded, split).labels, getattr(mixed, split).labels)
        np.testing.assert_array_equal(getattr(loaded, split).plain, getattr(mixed, split).plain)
    names = sorted(path.name for path in records.iterdir())
    assert names == [
        "index.json",
        *(f"training-0000{n}-of-00003.tfrecord" for n in range(3)),
        *(f"validation-0000{n}-of-00003.tfrecord" for n in range(3)),
    ]


def test_test_images_come_back_too(tmp_path):
    examples = data.ArrayExamples(np.arange(4 * 48, dtype=np.uint8).reshape(4, 4, 4, 3), np.array([0, 1, 0, 1]))
    splits = {"training": examples, "validation": examples.take([0, 1]), "test": examples.take([3])}
    whole = data.DataSet("some", "some", ("a", "b"), **splits)
    loaded = load_records(write_records(whole, tmp_path / "records"))
    assert {split: getattr(loaded, split).labels.tolist() for split in splits} == {
        "training": [0, 1, 0, 1], "validation": [0, 1], "test": [1],
    }  # fmt: skip
    assert data.LabeledImages.of(loaded, "test").counted == "1 test image of 7"


def test_jpeg_files_keep_their_bytes_and_others_their_pixels(mixed, records):
    loaded = load_records(records)
    kept = []
    for shard in loaded.training.shards:
        for record in tf.data.TFRecordDataset(shard).as_numpy_iterator():
            features = tf.train.Example.FromString(record).features.feature
            kept.append((features["image/encoded"].bytes_list.value[0], features["image/format"].bytes_list.value[0]))
    assert len(kept) == len(mixed.training)
    assert not mixed.training.plain.all()
    for (contents, kind), path, plain in zip(kept, mixed.training.paths, mixed.training.plain, strict=True):
        if plain:
            assert kind == b"JPEG"
            with open(path, "rb") as file:
                assert contents == file.read()
        else:
            assert kind == b"PNG"
            np.testing.assert_array_equal(tf.io.decode_png(contents), np.asarray(Image.open(path).convert("RGB")))


@pytest.mark.parametrize("augmentation", [Augmentation(), Augmentation(scale=(0.2, 1.0), flip=True)])
def test_batches_are_those_of_the_files(mixed, records, augmentation):
    settings = {**VIEWS, "augmentation": augmentation, "seed": 3, "epochs": range(2)}
    loaded = load_records(records)
    from_files = training_batches(mixed.training, **settings)
    from_records = training_batches(loaded.training, **settings)
    for ours, theirs in zip(from_records, from_files, strict=True):
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])
    views = [np.concatenate([x for x, _ in evaluation_batches(d.validation, **VIEWS)]) for d in (loaded, mixed)]
    np.testing.assert_array_equal(*views)


def test_arrays_come_back_bit_exact(few_digits, tmp_path):
    loaded = load_records(write_records(few_digits, tmp_path / "records"))
    assert not loaded.allows_horizontal_flip
    settings = {"classes": 10, "size": 32, "crop_fraction": 1.0, "batch_size": 50}
    images = np.concatenate([images for images, _ in evaluation_batches(loaded.training, **settings)])
    np.testing.assert_array_equal(images, few_digits.training.images)


def test_examples_can_be_selected(records):
    loaded = load_records(records)
    part = loaded.training.take(np.array([5, 1]))
    whole = np.concatenate([x for x, _ in evaluation_batches(loaded.training, **VIEWS)])
    np.testing.assert_array_equal(np.concatenate([x for x, _ in evaluation_batches(part, **VIEWS)]), whole[[5, 1]])


def test_existing_files_are_not_overwritten(mixed, records, tmp_path):
    with mentioning(InputError, records, "already"):
        write_records(mixed, records)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    with mentioning(InputError, "thesis.txt"):
        write_records(mixed, tmp_path / "other")
    assert (tmp_path / "other" / "thesis.txt").read_text() == "mine"


def test_the_files_of_a_killed_writer_are_not_read(photographs, tmp_path):
    folder = tmp_path / "records"
    images = data.load(photographs)

    def track(items, total, description):
        for number, item in enumerate(items):
            if "training-00001" in description and number == 4:
                os.kill(os.getpid(), signal.SIGKILL)
            yield item

    # Writing uses no threads of TensorFlow, which do not exist after a fork.
    writer = multiprocessing.get_context("fork").Process(
        target=write_records, args=(images, folder), kwargs={"shards": 3, "track": track}
    )
    writer.start()
    writer.join(60)
    assert writer.exitcode == -signal.SIGKILL
    assert [path.name for path in folder.iterdir() if not path.name.endswith(".partial")] == [
        "training-00000-of-00003.tfrecord"
    ]
    for load in (load_records, data.load):
        with mentioning(InputError, folder, "did not finish"):
            load(folder)
    # The next attempt removes them and succeeds.
    load_records(write_records(images, folder, shards=2), verify=True)
    assert len(list(folder.iterdir())) == 5


def flip_byte(path):
    contents = bytearray(path.read_bytes())
    contents[len(contents) // 2] ^= 255
    path.write_bytes(contents)


DAMAGES = {
    "cut short": lambda shard, index: shard.write_bytes(shard.read_bytes()[:-100]),
    "missing": lambda shard, index: shard.unlink(),
    "a byte flipped": lambda shard, index: flip_byte(shard),
    "no index": lambda shard, index: index.unlink(),
    "index cut short": lambda shard, index: index.write_bytes(index.read_bytes()[:-100]),
    "index of something else": lambda shard, index: index.write_text("[1, 2]"),
    "index without splits": lambda shard, index: index.write_text('{"format": "kerascnn records", "version": 1}'),
    "index of the future": lambda shard, index: index.write_text('{"format": "kerascnn records", "version": 2}'),
    "index of null bytes": lambda shard, index: index.write_bytes(bytes(500)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_one_sentence(damage, records):
    DAMAGES[damage](records / "training-00001-of-00003.tfrecord", records / INDEX)
    with pytest.raises(InputError) as raised:
        load_records(records, verify=True)
    assert "\n" not in str(raised.value) and str(records) in str(raised.value)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [("cut short", "bytes instead of"), ("missing", "is missing"), ("a byte flipped", "is damaged")],
)
def test_errors_name_the_damaged_shard(damage, problem, records):
    shard = records / "training-00001-of-00003.tfrecord"
    DAMAGES[damage](shard, records / INDEX)
    with mentioning(InputError, shard, problem):
        load_records(records, verify=True)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("labels", 7), ("labels", -1), ("labels", "x"), ("offsets", -5), ("offsets", None), ("offsets", 1e300)),
        ("file", "../elsewhere.tfrecord"),
    ],
)
def test_invalid_values_in_the_index_is_one_sentence(key, value, records):
    index = json.loads((records / INDEX).read_text())
    shard = index["splits"]["training"][1]
    shard[key] = value if key == "file" else [value, *shard[key][1:]]
    (records / INDEX).write_text(json.dumps(index))
    with mentioning(InputError, records, "damaged"):
        load_records(records)


def test_training_notices_a_flipped_byte(records):
    for shard in records.glob("training*"):
        flip_byte(shard)
    batches = training_batches(
        load_records(records).training, **VIEWS, augmentation=Augmentation(), seed=0, epochs=range(1)
    )
    with pytest.raises(tf.errors.DataLossError):
        list(batches)


def test_training_loads_the_records_of_the_command(command, photographs, tmp_path):
    ended = command("ingest", photographs, "--tfrecord", tmp_path / "shards", "--json")
    assert ended.status == 0
    printed = json.loads(ended.out)
    assert printed["records"] == str(tmp_path / "shards")
    from_files, from_shards = data.load(photographs), data.load(tmp_path / "shards")
    assert from_shards.class_names == from_files.class_names
    np.testing.assert_array_equal(from_shards.training.labels, from_files.training.labels)
    rejected = command("ingest", photographs, "--tfrecord", photographs)
    assert rejected.status == 2
    assert len(rejected.err.strip().splitlines()) == 1


def test_every_class_of_a_multi_label_image_comes_back(tmp_path):
    labels = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0]], np.uint8)
    examples = data.ArrayExamples(np.zeros((3, 8, 8, 3), np.uint8), labels)
    tags = data.DataSet("tags", "tags", ("fog", "sea", "sun"), examples, examples)
    loaded = load_records(write_records(tags, tmp_path / "records", shards=2))
    assert loaded.multi_label
    np.testing.assert_array_equal(loaded.training.labels, labels)
    [shard, _] = loaded.training.shards
    [first, *_] = tf.data.TFRecordDataset(shard).as_numpy_iterator()
    features = tf.train.Example.FromString(first).features.feature
    assert list(features["image/class/label"].int64_list.value) == [0, 2]
    assert list(features["image/class/text"].bytes_list.value) == [b"fog", b"sun"]
    [(_, batch)] = evaluation_batches(loaded.training, **VIEWS | {"classes": 3})
    np.testing.assert_array_equal(batch, labels)
