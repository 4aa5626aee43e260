"""A bundle does what the exported network does, without EdgeNAS, and says where it cannot."""

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

from edgenas.deployment import write_bundle
from edgenas.deployment.bundle import requirements
from edgenas.deployment.predict import Classifier, jpeg_frames, runtimes_for, takes
from edgenas.device import get_runtime
from edgenas.errors import EdgeNASError, UsageError
from edgenas.export import export
from edgenas.pipeline.export import export_run
from edgenas.pipeline.predict import open_classifier
from edgenas.supernet import Supernet
from edgenas.training import Evaluator

# As a product runs it: what is in the folder, and nothing of EdgeNAS or torch.
ALONE = """
import runpy, sys
sys.modules["edgenas"] = sys.modules["torch"] = None
sys.path.insert(0, sys.argv[1])
sys.argv = sys.argv[1:]
sys.argv[0] += "/predict.py"
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def unpacked(bundle, tmp_path):
    zipfile.ZipFile(bundle).extractall(tmp_path)
    return tmp_path / "cat"


def is_turned(path):
    with Image.open(path) as image:
        return image.getexif().get(0x0112) == 6


def alone(folder, *arguments, stdin=None):
    command = [sys.executable, "-I", "-c", ALONE, folder, *arguments]
    done = subprocess.run([str(word) for word in command], input=stdin, capture_output=True)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_it_works_alone(unpacked):
    status, told, errors = alone(unpacked, "--self-test")
    assert status == 0, errors
    assert "files: whole" in told and "preparation: equal to the last bit" in told
    assert "model.onnx in onnxruntime: 6 images" in told or "model.onnx in onnxruntime: 4 images" in told
    assert "model.tflite in litert" in told


def test_it_answers_as_the_network_does(unpacked, exported, tmp_path):
    _, _, dataset, verifications = exported
    root, test = dataset.source, dataset.test
    names = [f"{root}/{dataset.pictures.files[row]}" for row in test.rows]
    assert any(is_turned(Path(name)) for name in names)
    for runtime in ("onnxruntime", "litert"):
        status, told, errors = alone(unpacked, *names, "--json", "--runtime", runtime, "--top", "2")
        assert status == 0, errors
        answers = [json.loads(line) for line in told.splitlines()]
        assert [answer["image"] for answer in answers] == names
        assert all(abs(sum(p["probability"] for p in answer["predictions"]) - 1) < 1e-5 for answer in answers)
        labels = [answer["predictions"][0]["label"] for answer in answers]
        right = np.mean([label == dataset.classes[y] for label, y in zip(labels, test.labels, strict=True)])
        (verified,) = [v for v in verifications if v.execution.runtime == runtime]
        assert right == pytest.approx(verified.accuracy)


def test_frames_of_a_camera(unpacked, exported):
    dataset = exported[2]
    files = [f"{dataset.source}/{name}" for name in dataset.pictures.files[:3]]
    stream = b"".join(Path(file).read_bytes() for file in files)
    _, told, _ = alone(unpacked, "-", "--json", stdin=stream)
    frames = [json.loads(line)["predictions"] for line in told.splitlines()]
    _, told, _ = alone(unpacked, *files, "--json")
    assert frames == [json.loads(line)["predictions"] for line in told.splitlines()]


def test_a_thumbnail_ends_no_frame():
    thumbnail, image = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (8, 8)).save(thumbnail, "JPEG")
    exif = Image.Exif()
    exif[0x927C] = thumbnail.getvalue()  # any field of bytes
    Image.new("RGB", (40, 40), "red").save(image, "JPEG", exif=exif.tobytes() + thumbnail.getvalue())
    one = image.getvalue()
    assert one.count(b"\xff\xd9") >= 2
    assert list(jpeg_frames(io.BytesIO(b"junk" + one + one + one[:50]))) == [one, one]


def test_what_is_no_image_is_told_and_the_others_go_on(unpacked, exported):
    dataset = exported[2]
    good = f"{dataset.source}/{dataset.pictures.files[0]}"
    status, told, errors = alone(unpacked, unpacked / "labels.txt", good)
    assert status == 1 and "labels.txt: it is no image" in errors and good in told and "Traceback" not in errors


def sums(folder):
    names = [path.name for path in folder.iterdir() if path.is_file() and path.name != "SHA256SUMS"]
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in sorted(names)]
    (folder / "SHA256SUMS").write_text("".join(lines))


def test_one_changed_weight_fails(unpacked):
    model = onnx.load(unpacked / "model.onnx")
    weight = next(w for w in model.graph.initializer if w.name.endswith("classify.weight"))
    values = numpy_helper.to_array(weight).copy()
    values.flat[np.abs(values).argmax()] *= -1
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    onnx.save(model, unpacked / "model.onnx")
    status, _, errors = alone(unpacked, "--self-test")
    assert status == 1 and "model.onnx is missing, damaged or changed" in errors
    sums(unpacked)
    status, _, errors = alone(unpacked, "--self-test")
    assert status == 1 and "model.onnx in onnxruntime computes something else here" in errors


def test_another_preparation_fails(unpacked):
    file = unpacked / "prepare.py"
    file.write_text(file.read_text().replace("Resampling.BILINEAR", "Resampling.NEAREST"))
    sums(unpacked)
    status, _, errors = alone(unpacked, "--self-test")
    assert status == 1 and "This Pillow prepares images otherwise" in errors


def test_the_same_date_gives_the_same_bytes(exported, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    run, model, dataset, verifications = exported
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_bundle(tmp_path / name / "cat.zip", run, model, dataset, verifications)
    assert (tmp_path / "a" / "cat.zip").read_bytes() == (tmp_path / "b" / "cat.zip").read_bytes()


def test_the_card(bundle, exported):
    card = zipfile.ZipFile(bundle).read("cat/MODEL_CARD.md").decode()
    verified = exported[3][0]
    assert f"of {verified.images} test images" in card and "| dark, or so |" in card
    assert "resize the shorter side to 12" in card and "model.tflite" in card


def test_requirements(exported, tmp_path):
    model = exported[1]
    assert requirements(model).splitlines() == [
        "numpy", "pillow>=10.1", 'onnxruntime; platform_machine != "armv7l"', 'tflite-runtime; platform_machine == "armv7l"',
        'numpy<2; platform_machine == "armv7l"',
    ]  # fmt: skip
    (tmp_path / "model.tflite").touch()
    assert 'ai-edge-litert; platform_machine != "armv7l"' in requirements(replace(model, folder=tmp_path))


OTHERS = ("openvino", "opencv", "ncnn")


@pytest.fixture(scope="module")
def with_ncnn(exported):
    """The exported network with what every runtime opens."""
    if get_runtime("ncnn").python is None:
        pytest.skip("ncnn is not installed: pip install ncnn")
    run, model, dataset, _ = exported
    evaluator = Evaluator(Supernet(run.space), dataset)
    return export(evaluator, model.architecture, run.path / "with_ncnn", ("onnx", "tflite", "ncnn"), provenance=run.provenance,
                  image_type="uint8", answer="probabilities")  # fmt: skip


@pytest.mark.parametrize("runtime", OTHERS)
def test_a_bundle_for_another_runtime_works_alone(with_ncnn, exported, tmp_path, runtime):
    if get_runtime(runtime).python is None:
        pytest.skip(f"{runtime} is not installed: pip install {get_runtime(runtime).package}")
    run, _, dataset, _ = exported
    write_bundle(tmp_path / "cat.zip", run, with_ncnn, dataset, runtimes=[runtime])
    zipfile.ZipFile(tmp_path / "cat.zip").extractall(tmp_path)
    folder = tmp_path / "cat"
    files = {path.name for path in folder.glob("model*")} - {"model.json"}
    assert files == ({"model.ncnn.param", "model.ncnn.bin"} if runtime == "ncnn" else {"model.onnx"})
    lines = (folder / "requirements.txt").read_text().split()
    assert lines == ["numpy", "pillow>=10.1", get_runtime(runtime).package]
    status, told, errors = alone(folder, "--self-test")
    assert status == 0, errors
    assert f"{min(files - {'model.ncnn.bin'})} in {runtime}: " in told
    photo = f"{dataset.source}/{dataset.pictures.files[0]}"
    answers = []
    for source, how in ((folder, []), (with_ncnn.folder, ["onnxruntime"])):
        with open_classifier(source, **({"runtime": how[0]} if how else {})) as classifier, Image.open(photo) as image:
            assert classifier.runtime == (how[0] if how else runtime)
            answers.append(dict(classifier.predict(image)))
    assert answers[0] == pytest.approx(answers[1], abs=1e-4)
    assert runtimes_for(folder)[0] == runtime  # it was made for that, whatever else is there


def test_a_bundle_needs_files_for_its_runtimes(exported, tmp_path):
    run, model, dataset, _ = exported
    with pytest.raises(UsageError, match="holds nothing that ncnn opens: export it again, with `format` ncnn"):
        write_bundle(tmp_path / "cat.zip", run, model, dataset, runtimes=["ncnn"])
    assert not (tmp_path / "cat.zip").exists()
    with pytest.raises(UsageError, match="is what a bundle is for"):
        export_run(run, runtimes=["ncnn"])
    with pytest.raises(UsageError, match="Did you mean 'openvino'"):
        export_run(run, bundle=tmp_path / "cat.zip", runtimes=["openvin"])
    assert requirements(model, ["tflite-runtime", "opencv"]).split() == [
        "numpy", "pillow>=10.1", "tflite-runtime", "numpy<2", "opencv-python-headless",
    ]  # fmt: skip


def test_what_takes_float32_alone_gets_nothing_else(tmp_path):
    assert takes("onnxruntime", Path("model-int8.onnx")) and takes("opencv", Path("model.onnx"))
    assert takes("ncnn", Path("model.ncnn.param")) and not takes("ncnn", Path("model.onnx"))
    assert not takes("opencv", Path("model-int8.onnx")) and not takes("openvino", Path("model-fp16.onnx"))


def test_code_of_a_bundle_is_not_run_here(unpacked, capsys):
    (unpacked / "open_ncnn.py").write_text("raise SystemExit('run')")
    (unpacked / "model.ncnn.param").touch()
    (unpacked / "model.ncnn.bin").touch()
    assert runtimes_for(unpacked)[0] == "ncnn"
    if get_runtime("ncnn").python is None:
        assert Classifier(unpacked).runtime == "onnxruntime"
    else:
        with pytest.raises(RuntimeError, match="ncnn cannot read the model"):
            Classifier(unpacked)


def test_a_bundle_that_is_not_made_for_a_runtime_says_so(unpacked):
    status, _, errors = alone(unpacked, "labels.txt", "--runtime", "ncnn")
    assert status == 1 and "was not made for ncnn, but for onnxruntime and litert and tflite-runtime" in errors


def test_a_run_a_bundle_and_a_folder_answer_alike(exported, bundle, unpacked):
    run, _, dataset, _ = exported
    with Image.open(f"{dataset.source}/{dataset.pictures.files[0]}") as image:
        answers = []
        for source in (run.path, bundle, unpacked):
            with open_classifier(source) as classifier:
                answers.append(classifier.predict(image))
    assert answers[0] == answers[1] == answers[2]


def test_what_is_no_bundle_is_refused(tmp_path, exported):
    with pytest.raises(UsageError, match="is no bundle that can be read"), open_classifier(__file__):
        pass
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("x/readme.txt", "nothing")
    with pytest.raises(UsageError, match=r"is no bundle: it has no model\.json"), open_classifier(other):
        pass
    with pytest.raises(UsageError, match="is not exported"), open_classifier(exported[0].path, architecture="0"):
        pass
    lacking = pytest.raises(EdgeNASError, match="tflite-runtime is not installed")
    with lacking, open_classifier(exported[0].path, runtime="tflite-runtime"):
        pass


def test_the_runtime_that_is_there_is_taken(unpacked):
    (unpacked / "model-fp16.onnx").touch()  # of less precision, and no model: not taken
    assert Classifier(unpacked).runtime == "onnxruntime"
    (unpacked / "model-fp16.onnx").unlink()
    (unpacked / "model.onnx").unlink()
    assert Classifier(unpacked).runtime == "litert"
