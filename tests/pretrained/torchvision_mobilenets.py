"""torchvision's MobileNets for comparison: the same modules under the same names, from the tables of their papers.

torchvision itself needs a build that matches torch's. What is modelled: `features` and `classifier` as sequences,
a convolution, its batch norm and its activation as a sequence of three, and the epsilon of each.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F


def conv(inside: int, outside: int, kernel: int, stride: int, norm, activation, groups: int = 1) -> nn.Sequential:
    layers = [nn.Conv2d(inside, outside, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False), norm(outside)]
    return nn.Sequential(*layers, *([activation()] if activation else []))


class Residual(nn.Module):
    """Adds the input to what its only child computes, where the shapes are the same."""

    def __init__(self, name: str, layers: nn.Sequential, adds: bool):
        super().__init__()
        self.name, self.adds = name, adds
        self.add_module(name, layers)

    def forward(self, x: Tensor) -> Tensor:
        y = getattr(self, self.name)(x)
        return x + y if self.adds else y


class SqueezeExcitation(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        squeezed = max(8, int(channels // 4 + 4) // 8 * 8)
        squeezed += 8 * (squeezed < 0.9 * (channels // 4))
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * F.hardsigmoid(self.fc2(F.relu(self.fc1(F.adaptive_avg_pool2d(x, 1)))))


class MobileNet(nn.Module):
    def __init__(self, features: list[nn.Module], classifier: list[nn.Module]):
        super().__init__()
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(*classifier)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).mean((2, 3)))


def mobilenet_v2() -> MobileNet:
    norm, features, inside = nn.BatchNorm2d, [conv(3, 32, 3, 2, nn.BatchNorm2d, nn.ReLU6)], 32
    rows = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for expand, channels, repeats, stride in rows:
        for step in [stride] + [1] * (repeats - 1):
            mid = inside * expand
            layers = [conv(inside, mid, 1, 1, norm, nn.ReLU6)] if expand > 1 else []
            layers += [conv(mid, mid, 3, step, norm, nn.ReLU6, mid), nn.Conv2d(mid, channels, 1, bias=False), norm(channels)]
            features.append(Residual("conv", nn.Sequential(*layers), step == 1 and inside == channels))
            inside = channels
    return MobileNet([*features, conv(320, 1280, 1, 1, norm, nn.ReLU6)], [nn.Dropout(0.2), nn.Linear(1280, 1000)])


LARGE = (
    (3, 16, 16, 0, 0, 1), (3, 64, 24, 0, 0, 2), (3, 72, 24, 0, 0, 1), (5, 72, 40, 1, 0, 2), (5, 120, 40, 1, 0, 1),
    (5, 120, 40, 1, 0, 1), (3, 240, 80, 0, 1, 2), (3, 200, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1),
    (3, 480, 112, 1, 1, 1), (3, 672, 112, 1, 1, 1), (5, 672, 160, 1, 1, 2), (5, 960, 160, 1, 1, 1), (5, 960, 160, 1, 1, 1),
)  # fmt: skip
SMALL = (
    (3, 16, 16, 1, 0, 2), (3, 72, 24, 0, 0, 2), (3, 88, 24, 0, 0, 1), (5, 96, 40, 1, 1, 2), (5, 240, 40, 1, 1, 1),
    (5, 240, 40, 1, 1, 1), (5, 120, 48, 1, 1, 1), (5, 144, 48, 1, 1, 1), (5, 288, 96, 1, 1, 2), (5, 576, 96, 1, 1, 1),
    (5, 576, 96, 1, 1, 1),
)  # fmt: skip
"""Tables 1 and 2 of arXiv:1905.02244: kernel, expanded channels, channels, squeeze-and-excitation, hard swish, stride."""


def mobilenet_v3(rows: tuple, last: int) -> MobileNet:
    norm, inside = partial(nn.BatchNorm2d, eps=0.001, momentum=0.01), 16
    features: list[nn.Module] = [conv(3, inside, 3, 2, norm, nn.Hardswish)]
    for kernel, mid, channels, se, hswish, stride in rows:
        activation = nn.Hardswish if hswish else nn.ReLU
        layers = [conv(inside, mid, 1, 1, norm, activation)] if mid != inside else []
        layers.append(conv(mid, mid, kernel, stride, norm, activation, mid))
        layers += [SqueezeExcitation(mid)] * se
        layers.append(conv(mid, channels, 1, 1, norm, None))
        features.append(Residual("block", nn.Sequential(*layers), stride == 1 and inside == channels))
        inside = channels
    features.append(conv(inside, 6 * inside, 1, 1, norm, nn.Hardswish))
    return MobileNet(features, [nn.Linear(6 * inside, last), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(last, 1000)])


BUILD = {
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v3_large": partial(mobilenet_v3, LARGE, 1280),
    "mobilenet_v3_small": partial(mobilenet_v3, SMALL, 1024),
}
