import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from edgenas.baseline import OWN, add_file, folder_of, load_baselines
from edgenas.errors import CheckpointError, UsageError


def colour(path, classes=3, channel_of=(0, 1, 2)):
    """A classifier that calls an image by its strongest colour, of any size and number of images."""
    shape = ["batch", 3, "size", "size"]
    weight = torch.zeros(classes, 3)
    for label, channel in enumerate(channel_of):
        weight[label, channel] = 1
    nodes = [
        helper.make_node("GlobalAveragePool", ["images"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weight"], ["scores"], transB=1),
    ]
    graph = helper.make_graph(
        nodes, "colour",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", classes])],
        [numpy_helper.from_array(weight.numpy(), "weight")],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture
def run(make_run):
    return make_run(24, 32)


def test_it_is_verified_and_timed_as_it_is(run, tmp_path):
    first, *_ = add_file(run, colour(tmp_path / "mine.onnx"))
    assert first.accuracy == 1  # the classes are colours
    assert first.images == run.images("test")
    assert first.latency_ms > 0
    assert first.parity is None
    assert first.passed
    (found,) = load_baselines(run)
    assert (found.name, found.resolution, found.begins_with) == ("mine", 32, OWN)
    assert (found.training_seconds, found.validation_accuracy) == (None, None)
    copy = onnx.load(folder_of(run, "mine") / "model.onnx")
    assert [size.dim_value for size in copy.graph.input[0].type.tensor_type.shape.dim] == [1, 3, 32, 32]


def test_what_was_verified_is_not_verified_again_until_it_changes(run, tmp_path):
    path = colour(tmp_path / "mine.onnx")
    before = add_file(run, path)
    assert add_file(run, path) == before
    (folder_of(run, "mine") / "verify.json").unlink()  # as when it was interrupted
    assert load_baselines(run) == []
    assert add_file(run, path)[0].accuracy == 1
    colour(path, channel_of=(1, 2, 0))
    assert add_file(run, path)[0].accuracy == 0


def test_an_interrupted_copy_is_made_anew(run, tmp_path):
    folder_of(run, "mine").mkdir(parents=True)
    (folder_of(run, "mine") / "model.onnx").write_bytes(b"half")
    assert add_file(run, colour(tmp_path / "mine.onnx"))[0].accuracy == 1


def test_one_that_is_no_classifier_of_these_classes_is_refused(run, tmp_path):
    with pytest.raises(UsageError, match=r"\(batch, 3\)"):
        add_file(run, colour(tmp_path / "mine.onnx", classes=4))
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(UsageError, match="cannot be opened"):
        add_file(run, tmp_path / "text.onnx")
    with pytest.raises(UsageError, match="There is no"):
        add_file(run, tmp_path / "missing.onnx")
    assert not (run.path / "baselines").exists()


def test_a_name_that_is_taken_is_refused(run, tmp_path):
    (tmp_path / "other").mkdir()
    before = add_file(run, colour(tmp_path / "mine.onnx"))
    with pytest.raises(UsageError, match="another name"):
        add_file(run, colour(tmp_path / "other" / "mine.onnx", channel_of=(1, 2, 0)))
    assert load_baselines(run)[0].verifications == tuple(before)
    folder_of(run, "lenet-28").mkdir()
    (folder_of(run, "lenet-28") / "config.toml").write_text("")
    with pytest.raises(UsageError, match="another name"):
        add_file(run, colour(tmp_path / "lenet-28.onnx"))


def test_damage_is_told(run, tmp_path):
    add_file(run, colour(tmp_path / "mine.onnx"))
    (folder_of(run, "mine") / "file.json").write_text('{"source": 1}')
    with pytest.raises(CheckpointError, match="add the file again"):
        load_baselines(run)
