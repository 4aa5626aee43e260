"""What learns in int8 computes what its file will, and its gradients are those of the network without rounding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from edgenas.quantisation import Quantisation, Range
from edgenas.quantisation.computation import Steps, compute, fake_quantise, in_floats, simulate
from edgenas.quantisation.learning import LearnedRanges
from edgenas.space import BlockSpec
from tests.graph.reference import CHAINS
from tests.quantisation.networks import BLOCKS, Case

STEP = 0.5
LIMITS = Range(-64.0, 63.5)
"""Of half steps: -64 is the step 0, 0 the step 128, 63.5 the last."""


def weights_of(case: Case) -> list[dict[str, Tensor]]:
    return [{name: torch.from_numpy(array).requires_grad_() for name, array in arrays.items()} for arrays in case.weights]


@pytest.mark.parametrize("name", [*BLOCKS, "largest"])
def test_it_computes_what_the_simulation_computes(name: str) -> None:
    case = Case(CHAINS.get(name) or [BLOCKS[name]], 2, per_tensor=name == "squeeze")
    learned = LearnedRanges(case.quantisation)
    found = learned(torch.from_numpy(case.images), weights_of(case))
    assert found.requires_grad
    np.testing.assert_array_equal(found.detach().numpy(), case.simulated)


def test_what_it_learned_is_computed_from_then_on() -> None:
    case = Case([BLOCKS["residual"], BlockSpec("head", 8, 8, 0, 5)])
    learned, images = LearnedRanges(case.quantisation), torch.from_numpy(case.images)
    with torch.no_grad():
        learned.upper += 0.03
        learned.lower -= 0.02
    ranges = learned.quantisation.own
    for name, limits in case.quantisation.own.items():
        assert ranges[name].high == pytest.approx(limits.high * np.exp(0.3))
        assert ranges[name].low == pytest.approx(limits.low * np.exp(-0.2))
    expected = simulate(replace(case.quantisation, own=ranges), case.weights)(images)
    assert torch.equal(learned(images, weights_of(case)), expected)
    assert not np.array_equal(expected.numpy(), case.simulated)


def test_the_clip_of_an_activation_stays_where_it_is() -> None:
    case = Case([BLOCKS["conv relu6"]])
    name = "block0.conv.relu6"
    learned = LearnedRanges(replace(case.quantisation, own=case.quantisation.own | {name: Range(0, 5)}))
    with torch.no_grad():
        learned.upper += 2
        learned.lower += 2
    assert learned.quantisation.own[name] == Range(0, 6)


@pytest.mark.parametrize("name", ["conv relu", "squeeze", "bottleneck", "head"])
def test_gradients_are_nearly_those_of_the_network_in_floats(name: str) -> None:
    case = Case([BLOCKS[name]], 16)
    images = torch.from_numpy(case.images)

    def gradients(compute_it) -> Tensor:
        weights = weights_of(case)
        output = compute_it(weights)
        (output * torch.linspace(-1, 1, output.numel()).view(output.shape)).sum().backward()
        return torch.cat([tensor.grad.flatten() for tensor in weights[0].values()])

    exact = gradients(lambda weights: compute(case.blocks, in_floats(weights), images, lambda _, value: value))
    found = gradients(lambda weights: LearnedRanges(case.quantisation)(images, weights))
    assert torch.nn.functional.cosine_similarity(exact, found, dim=0) > 0.95
    assert found.norm() / exact.norm() == pytest.approx(1, abs=0.1)


def test_the_gradients_of_a_range_by_hand() -> None:
    """Of what is cut off: its last step, in units of the scale. Of what is not: what rounding has added to it."""
    x = torch.tensor([-70.0, -0.2, 0.3, 10.1, 80.0], requires_grad=True)
    steps = Steps(*(number.requires_grad_() for number in Steps.of(LIMITS)))
    value = fake_quantise(x, steps)
    assert value.tolist() == [-64.0, 0.0, 0.5, 10.0, 63.5]
    gradient = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    value.backward(gradient)
    assert x.grad.tolist() == [0, 2, 3, 4, 0]
    rounding = torch.tensor([-128, 0 + 0.2 / STEP, 1 - 0.3 / STEP, 20 - 10.1 / STEP, 127])
    assert steps.scale.grad == pytest.approx(float((gradient * rounding).sum()), rel=1e-5)
    assert steps.zero.grad == pytest.approx(-STEP * (1 + 5))


def test_a_range_learns_to_cover_what_matters() -> None:
    """One that is far too narrow becomes wider, so that the network's answers are nearer to those in floats."""
    case = Case([BLOCKS["conv relu"], BlockSpec("head", 6, 8, 0, 5)])
    own = {name: Range(limits.low / 3, limits.high / 3) for name, limits in case.quantisation.own.items()}
    learned, images = LearnedRanges(Quantisation(case.blocks, own)), torch.from_numpy(case.images)
    optimizer, errors = torch.optim.Adam(learned.parameters(), 0.005), []
    for _ in range(30):
        loss = (learned(images, weights_of(case)) - torch.from_numpy(case.exact)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        errors.append(loss.item())
    assert errors[-1] < 0.3 * errors[0]
    assert learned.upper.mean() > 0.03


def test_a_value_that_is_always_zero_spoils_no_gradient() -> None:
    case = Case([BLOCKS["residual"]])
    learned = LearnedRanges(replace(case.quantisation, own=case.quantisation.own | {"block0.project": Range(0, 0)}))
    learned(torch.from_numpy(case.images), weights_of(case)).sum().backward()
    assert learned.upper.grad.isfinite().all() and learned.lower.grad.isfinite().all()
