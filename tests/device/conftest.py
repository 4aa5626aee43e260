"""A page that Chromium has open, as a phone would."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from edgenas.device import BrowserTarget, browser_target
from tests.chromium import SOFTWARE_WEBGPU, chromium


def address_in(text: str) -> str | None:
    """The address in what the terminal shows."""
    found = re.search(r"https?://\S+", text)
    return found and found.group()


class OpenPage(NamedTuple):
    target: BrowserTarget
    address: str


@pytest.fixture(scope="session")
def page(ort_web: None) -> Iterator[OpenPage]:
    """A target whose page Chromium has open."""
    said: list[str] = []
    with (
        browser_target("browser", "onnxruntime-web-wasm", said.append) as target,
        chromium(SOFTWARE_WEBGPU, address_in(said[0])),
    ):
        yield OpenPage(target, address_in(said[0]))
