import pytest

from edgenas.baseline import ALL, Choice, choose, usual
from edgenas.errors import UsageError
from edgenas.space import NETWORKS


def names(choices):
    return [choice.name for choice in choices]


def test_photos_are_compared_with_lite0_at_several_sizes():
    assert names(usual((96, 112, 128, 144, 160))) == [
        "efficientnet-lite0-96", "efficientnet-lite0-128", "efficientnet-lite0-160", "mobilenetv3-small-160"
    ]  # fmt: skip
    assert names(usual((128,))) == ["efficientnet-lite0-128", "mobilenetv3-small-128"]


def test_tiny_images_are_compared_with_lenet_at_a_size_that_it_can_take():
    assert names(usual((12, 16))) == ["lenet-28", "strided-cnn-16"]
    assert names(usual((24, 32))) == ["lenet-32", "strided-cnn-32"]


def test_networks_and_sizes_can_be_named():
    assert names(choose(["mobilenetv2"], None, (96, 128))) == ["mobilenetv2-128"]
    assert names(choose(["mobilenetv2", "resnet18-like"], (64, 96), (96, 128))) == [
        "mobilenetv2-64", "mobilenetv2-96", "resnet18-like-64", "resnet18-like-96"
    ]  # fmt: skip
    assert names(choose([], (64,), (96, 128))) == ["efficientnet-lite0-64", "mobilenetv3-small-64"]
    assert {choice.network for choice in choose([ALL], None, (96, 128))} == set(NETWORKS)
    assert len(choose([ALL], (64,), (96,))) == len(NETWORKS)


def test_what_cannot_be_is_refused():
    with pytest.raises(UsageError, match="Did you mean 'mobilenetv2'"):
        choose(["mobilnetv2"], None, (96,))
    with pytest.raises(UsageError, match="lenet cannot take images of 16 pixels: they are too small for it"):
        choose(["lenet"], (16,), (12, 16))


def test_a_choice_is_a_space_of_one_member():
    space = Choice("mobilenetv2-0.35", 64).space(classes=5)
    assert space.count() == 1
    assert (space.largest, space.classes) == (space.smallest, 5)
