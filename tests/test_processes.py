"""What several processes compute together is what one would alone."""

import os

import pytest
import torch
from torch import multiprocessing, nn

from edgenas import processes
from edgenas.errors import UsageError
from edgenas.supernet.synchronised import synchronise
from edgenas.training import Recipe, Trainer
from tests.conftest import free_port, make_micro_space
from tests.training.conftest import make_dataset

RECIPE = Recipe(epochs=4, batch_size=32, learning_rate=0.05, largest_alone=0.3, ema=0.9)


def new_trainer(recipe: Recipe = RECIPE) -> Trainer:
    return Trainer(make_micro_space(), make_dataset(192), recipe)


def curve(trainer: Trainer, after_epoch=lambda result: None) -> torch.Tensor:
    """The loss of every step."""
    losses = []

    def watch(items, description, total=None):
        for step, loss in items:
            losses.append(loss)
            yield step, loss

    trainer.run(watch, after_epoch)
    return torch.tensor(losses)


def normalised(norm: nn.Module, images: torch.Tensor, weights: torch.Tensor) -> list[torch.Tensor]:
    """Outputs, gradients and statistics of a batch norm: `(n, ...)` twice, then those of the parameters."""
    images = images.clone().requires_grad_()
    outputs = norm(images)
    (outputs * weights).sum().backward()
    return [outputs.detach(), images.grad, norm.weight.grad, norm.bias.grad, norm.running_mean, norm.running_var]


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return 30 + torch.randn(7, 3, 4, 4, generator=generator), torch.randn(7, 3, 4, 4, generator=generator)


def work(rank: int, port: int, folder: str) -> None:
    """What each of two processes does."""
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    with processes.together():
        norm = synchronise(nn.Sequential(nn.BatchNorm2d(3)))[0]
        torch.save(normalised(norm, *map(processes.own_share, batch())), f"{folder}/norm{rank}.pt")

        trainer = new_trainer()

        def save(result):
            if result.epoch == 2 and processes.is_main_process():
                trainer.save(f"{folder}/checkpoint.safetensors")

        torch.save([curve(trainer, save), *trainer.trained().parameters()], f"{folder}/trained{rank}.pt")
        with pytest.raises(UsageError, match="larger `batch_size`"):
            new_trainer(Recipe(batch_size=8, random_subnets=3))


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The folder in which two processes left what they computed."""
    folder = tmp_path_factory.mktemp("two")
    port = free_port()
    multiprocessing.spawn(work, (port, str(folder)), nprocs=2)
    return folder


@pytest.fixture(scope="module")
def one():
    """What one process computes: the loss of every step, and the trained parameters."""
    trainer = new_trainer()
    return [curve(trainer), *trainer.trained().parameters()]


def close(a: list[torch.Tensor], b: list[torch.Tensor], tolerance: float) -> bool:
    return len(a) == len(b) and all(torch.allclose(x, y, rtol=tolerance, atol=tolerance) for x, y in zip(a, b, strict=True))


def test_batch_norm_is_over_all_images(two):
    expected = normalised(nn.BatchNorm2d(3), *batch())
    parts = [torch.load(two / f"norm{rank}.pt") for rank in range(2)]
    for rank, part in enumerate(parts):
        assert close(part[:2], [tensor[rank::2] for tensor in expected[:2]], 1e-5)
        assert close(part[4:], expected[4:], 1e-5)
    sums = [a + b for a, b in zip(parts[0][2:4], parts[1][2:4], strict=True)]
    assert close(sums, expected[2:4], 1e-4)


def test_the_loss_curve_is_that_of_one_process(two, one):
    first, second = (torch.load(two / f"trained{rank}.pt") for rank in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert len(one[0]) == 16
    assert close(first, one, 1e-4)


def test_one_process_goes_on_where_two_stopped(two, one):
    trainer = new_trainer()
    trainer.load(two / "checkpoint.safetensors")
    rest = curve(trainer)
    assert close([rest, *trainer.trained().parameters()], [one[0][8:], *one[1:]], 1e-4)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_every_part_of_a_batch_is_shared_evenly_and_completely(monkeypatch, count):
    monkeypatch.setattr(processes, "world_size", lambda: count)
    batch = torch.arange(37)
    for begin, end in ((0, 37), (0, 12), (12, 25), (25, 37)):
        shares = []
        for rank in range(count):
            monkeypatch.setattr(processes, "rank", lambda rank=rank: rank)
            shares.append(processes.own_share(batch)[processes.own_part(begin, end)])
        assert sorted(torch.cat(shares).tolist()) == list(range(begin, end))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
