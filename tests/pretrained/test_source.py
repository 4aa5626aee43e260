import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from edgenas.errors import CheckpointError, UsageError
from edgenas.pretrained import PUBLISHED, Published, imagenet, open_weights
from edgenas.pretrained.naming import published_name
from edgenas.pretrained.tensor_files import read_state
from edgenas.space import get_space
from edgenas.supernet import Supernet


def published_state(entry: Published, classes: int = 1000) -> dict[str, torch.Tensor]:
    """Random tensors under the names of an entry whose names follow from the space alone."""
    space = entry.space(classes)
    torch.manual_seed(0)
    modules = entry.naming.modules(space, ())
    return {published_name(name, modules): tensor.contiguous() for name, tensor in Supernet(space).state_dict().items()}


MOBILENET = PUBLISHED["torchvision/mobilenet_v2"]


@pytest.fixture(scope="module")
def state():
    return published_state(MOBILENET)


def test_every_entry_has_a_space_that_suits_it_and_holds_it():
    from edgenas.pretrained.alignment import align

    for entry in PUBLISHED.values():
        trained = {"padding": entry.network.get("padding"), "batch_norm_epsilon": entry.network.get("batch_norm_epsilon")}
        align(entry.space(), get_space(**{"preset": None} | entry.suits | trained, classes=10))


@pytest.mark.parametrize("wrap", [
    lambda state: state,
    lambda state: {"state_dict": state, "epoch": 3},
    lambda state: {"model": {f"module.{name}": tensor for name, tensor in state.items()}},
    lambda state: {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")},
    lambda state: {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state.items()},
])  # fmt: skip
def test_a_file_is_recognised_by_its_tensors_however_it_is_wrapped(wrap, state, tmp_path):
    path = tmp_path / "any.pth"
    torch.save(wrap(state), path)
    weights = open_weights(str(path))
    assert weights.name == "torchvision/mobilenet_v2"
    torch.testing.assert_close(weights.tensors["blocks.0.full.conv.weight"], state["features.0.0.weight"], rtol=1e-3, atol=1e-3)
    assert weights.about["pretrained"]["licence"] == "BSD-3-Clause"
    assert len(weights.about["pretrained"]["sha256"]) == 64


def test_safetensors(state, tmp_path):
    save_file(state, tmp_path / "a.safetensors")
    assert open_weights(str(tmp_path / "a.safetensors")).name == "torchvision/mobilenet_v2"


class Command:
    def __reduce__(self):
        return print, ("this would be any program",)


def test_nothing_is_unpickled(tmp_path, capsys):
    path = tmp_path / "evil.pth"
    torch.save({"state_dict": {"a": torch.zeros(1)}, "args": Command()}, path)
    with pytest.raises(CheckpointError, match="never unpickled"):
        open_weights(str(path))
    path.write_bytes(pickle.dumps(Command()))
    with pytest.raises(CheckpointError):
        open_weights(str(path))
    assert not capsys.readouterr().out


def test_damaged_files(tmp_path, state):
    with pytest.raises(UsageError, match="no weights at"):
        open_weights(str(tmp_path / "none.pth"))
    path = tmp_path / "half.pth"
    torch.save(state, path)
    path.write_bytes(path.read_bytes()[:10_000])
    with pytest.raises(CheckpointError, match="damaged"):
        read_state(path)
    (tmp_path / "text.safetensors").write_text("no tensors")
    with pytest.raises(CheckpointError, match="damaged"):
        read_state(tmp_path / "text.safetensors")
    torch.save([1, 2], path)
    with pytest.raises(CheckpointError, match="no state dict"):
        read_state(path)


def test_what_fits_nothing_is_refused_naming_the_nearest_and_the_first_differences(state, tmp_path):
    path = tmp_path / "other.pth"
    other = dict(state)
    other["features.2.conv.0.0.weight"] = torch.zeros(96, 16, 3, 3)
    del other["features.5.conv.3.bias"]
    other["extra.weight"] = torch.zeros(2)
    torch.save(other, path)
    with pytest.raises(UsageError) as error:
        open_weights(str(path))
    for words in (
        "nearest is torchvision/mobilenet_v2", "features.2.conv.0.0.weight is 96 x 16 x 3 x 3 instead of 96 x 16 x 1 x 1",
        "features.5.conv.3.bias 32 is missing", "extra.weight 2 belongs to none",
    ):  # fmt: skip
        assert words in str(error.value)
    with pytest.raises(UsageError, match=r"nearest is efficientnet-lite0, .* and \d+ more"):
        open_weights(f"efficientnet-lite0={path}")


def test_a_classifier_of_other_classes_is_taken_for_what_it_is(tmp_path):
    torch.save(published_state(MOBILENET, 7), tmp_path / "mine.pth")
    weights = open_weights(str(tmp_path / "mine.pth"))
    assert weights.classes == tuple(f"class {i}" for i in range(7))
    assert weights.class_index("tench") is None


def test_unknown_names():
    with pytest.raises(UsageError, match="Did you mean 'efficientnet-lite0'"):
        open_weights("efficientnet-lite-0")
    with pytest.raises(UsageError, match="Unknown weights"):
        open_weights("mobilenet=some.pth")


def test_weights_that_are_not_here_say_how_to_get_them(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    with pytest.raises(UsageError, match="load it with torchvision"):
        open_weights("torchvision/mobilenet_v2")


def test_weights_in_the_folders_of_torch_and_timm_are_found_by_name(monkeypatch, tmp_path, state):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    path = tmp_path / "torch" / "hub" / "checkpoints" / "mobilenet_v2-b0353104.pth"
    path.parent.mkdir(parents=True)
    torch.save(state, path)
    assert open_weights("torchvision/mobilenet_v2").about["pretrained"]["file"] == str(path)
    snapshot = tmp_path / "hf/hub/models--timm--mobilenetv3_large_100.ra4_e3600_r224_in1k/snapshots/0/model.safetensors"
    snapshot.parent.mkdir(parents=True)
    snapshot.write_bytes(b"")
    assert PUBLISHED["timm/mobilenetv3_large_100.ra4"].find() == snapshot
    assert PUBLISHED["timm/mobilenetv3_large_100"].find() is None


def test_networks_with_the_same_tensors_are_told_apart_by_where_they_come_from_or_by_the_user(tmp_path):
    """The published and the TensorFlow weights of a network differ in padding and normalisation alone."""
    from .others import import_or_skip

    timm = import_or_skip("timm")
    tensors = timm.create_model("mobilenetv3_small_100").state_dict()
    path = tmp_path / "model.safetensors"
    save_file(tensors, path)
    with pytest.raises(UsageError, match=r"may hold any of timm/mobilenetv3_small_100, timm/tf_mobilenetv3_small_100"):
        open_weights(str(path))
    assert open_weights(f"timm/tf_mobilenetv3_small_100={path}").mean == (0.5, 0.5, 0.5)
    (tmp_path / "config.json").write_text(
        json.dumps({"architecture": "mobilenetv3_small_100", "pretrained_cfg": {"tag": "lamb_in1k"}})
    )
    assert open_weights(str(path)).name == "timm/mobilenetv3_small_100"
    named = tmp_path / "tf_mobilenetv3_small_100-37f49e2b.pth"
    (tmp_path / "config.json").unlink()
    torch.save(tensors, named)
    assert open_weights(str(named)).name == "timm/tf_mobilenetv3_small_100"


def test_imagenet_classes():
    classes, synonyms = imagenet.classes(), imagenet.synonyms()
    assert len(classes) == len(set(classes)) == 1000
    assert classes[:2] == ("tench", "goldfish")
    assert synonyms["n01440764"] == 0
    assert synonyms["Carassius auratus"] == 1
    cranes = [i for i, name in enumerate(classes) if name.startswith("crane (")]
    assert len(cranes) == 2
    assert "crane" not in classes and "crane" not in synonyms
