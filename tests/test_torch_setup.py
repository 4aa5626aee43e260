"""What torch is given to work with: here, the memory of freed tensors."""

import os
import platform
import subprocess
import sys

import pytest

TRAINING = """
import resource
import edgenas.torch_setup
import torch

def pages():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

images, weight = torch.randn(16, 96, 64, 64).requires_grad_(), torch.randn(96, 1, 3, 3).requires_grad_()
for step in range(8):
    if step == 4:
        before = pages()
    y = torch.nn.functional.conv2d(images, weight, padding=1, groups=96)
    (y.relu() + y).sum().backward()
    images.grad = None
print(pages() - before)
"""


def new_pages_of_four_steps(**environment: str) -> int:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run([sys.executable, "-c", TRAINING], env=kept | environment, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's setting")
def test_tensors_get_the_memory_of_those_before_unless_told_otherwise():
    own_setting = new_pages_of_four_steps(MALLOC_TRIM_THRESHOLD_="131072")
    assert new_pages_of_four_steps() < own_setting / 3
