"""Names, shapes and the client of docs/serving.md, compared with the real SavedModel."""

import base64
import json
import re
from pathlib import Path

import pytest
import tensorflow as tf
from PIL import Image

from kerascnn.data.ingestion.image_formats import decode_image
from kerascnn.data.pipeline.view_arrays import views_of
from kerascnn.export import deployable
from kerascnn.export.saved_model import write_saved_model
from support.pages import Page
from support.servers import LoopbackServer, QuietHandler, serving

PAGE = Page("docs/serving.md")


@pytest.fixture(scope="module")
def signatures(digits_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("serving") / "1"
    write_saved_model(deployable(digits_run.model), folder)
    # The signatures exist as long as their object.
    module = tf.saved_model.load(str(folder))
    yield module.signatures
    del module


def predict(signatures, request):
    """The answer of TensorFlow Serving's REST interface, in its row format."""
    signature = signatures[request.get("signature_name", "serving_default")]
    [(name, spec)] = signature.structured_input_signature[1].items()
    rows = []
    for instance in request["instances"]:
        assert set(instance) == {name}
        value = instance[name]
        rows.append(base64.b64decode(value["b64"]) if isinstance(value, dict) else value)
    outputs = {key: value.numpy() for key, value in signature(**{name: tf.constant(rows, spec.dtype)}).items()}

    def plain(row):
        return [item.decode() if isinstance(item, bytes) else float(item) for item in row]

    return {
        "predictions": [{key: plain(value[number]) for key, value in outputs.items()} for number in range(len(rows))]
    }


@pytest.mark.slow
def test_request_and_answer(signatures):
    request, answer = (json.loads(block) for block in PAGE.blocks("json"))
    [given] = predict(signatures, request)["predictions"]
    [printed] = answer["predictions"]
    assert set(given) == set(printed)
    for key in given:
        assert len(given[key]) == len(printed[key]) == 5
        assert {type(item) for item in given[key]} == {type(item) for item in printed[key]}
    assert given["scores"] == sorted(given["scores"], reverse=True)


@pytest.mark.slow
def test_table_of_signatures(signatures):
    rows = re.findall(r"^\| (`\w+`.*) \|$", PAGE.text, re.MULTILINE)
    found = []
    for name in ("serve", "serve_uint8", "serve_bytes", "features"):
        [(input_name, given)] = signatures[name].structured_input_signature[1].items()
        outputs = sorted(signatures[name].structured_outputs.items())
        found.append(
            " | ".join(
                [
                    *(f"`{name}`", f"`{input_name}`", given.dtype.name, shape(given)),
                    ", ".join(f"`{key}`" for key, _ in outputs),
                    ", ".join(spec.dtype.name for _, spec in outputs),
                    ", ".join(shape(spec) for _, spec in outputs),
                ]
            )
        )
    assert rows == found


def shape(spec):
    return str(tuple(spec.shape)).replace("None", "any")


@pytest.mark.slow
def test_client(signatures, digits_run, tmp_path, monkeypatch, capsys):
    class Served(QuietHandler):
        def do_POST(self):
            assert self.path == "/v1/models/resnet20-digits:predict"
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(predict(signatures, request)).encode())

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("no_proxy", "*")
    for seed, name in enumerate(("digit.png", "photo.jpg")):
        Image.effect_noise((40, 30), 60 + seed).save(name, quality=95)
    with serving(LoopbackServer(Served)) as server:
        PAGE.run(replace={"localhost:8501": f"127.0.0.1:{server.server_port}"})
    lines = capsys.readouterr().out.splitlines()
    for line, name in zip(lines, ("digit.png", "photo.jpg"), strict=True):
        probabilities = digits_run.model(views_of([decode_image(Path(name).read_bytes())], 32, 1.0)).numpy()[0]
        assert line.split()[:2] == [name, str(probabilities.argmax())]
