"""Chromium, as the phone's browser."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from edgenas.device import BrowserTarget, browser_target
from edgenas.device.browser.onnxruntime_web import onnxruntime_web
from edgenas.errors import EdgeNASError
from edgenas.files import cache_dir

CHROMIUM = shutil.which("chromium")
USER_CACHE = cache_dir()

SOFTWARE_WEBGPU = "--enable-unsafe-webgpu"


@contextmanager
def chromium(*arguments: str, **options) -> Iterator[subprocess.Popen]:
    """A browser with a profile of its own and no qualms about certificates. `SOFTWARE_WEBGPU` gives it a GPU, in software."""
    with tempfile.TemporaryDirectory(prefix="edgenas-chromium-", ignore_cleanup_errors=True) as profile:
        flags = ["--headless=new", "--no-sandbox", "--ignore-certificate-errors", "--no-first-run"]
        process = subprocess.Popen(
            [CHROMIUM, *flags, f"--user-data-dir={profile}", *arguments], stderr=subprocess.DEVNULL, **options
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


def address_in(text: str) -> str | None:
    """The address in what the terminal shows."""
    found = re.search(r"https?://\S+", text)
    return found and found.group()


@pytest.fixture(scope="session")
def ort_web(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skips where there is no Chromium, or no ONNX Runtime Web. It is downloaded into the user's cache, once, and tests see it
    in theirs."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium: install Debian's")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGENAS_CACHE", str(USER_CACHE))
        try:
            folder = onnxruntime_web()
        except EdgeNASError as error:
            pytest.skip(str(error))
    cache = tmp_path_factory.getbasetemp() / "cache"
    cache.mkdir(exist_ok=True)
    (cache / folder.name).symlink_to(folder)


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
