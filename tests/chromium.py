"""Chromium, as the phone's browser."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

CHROMIUM = shutil.which("chromium")

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


def dom(address: str, *flags: str, virtual_ms: int = 10_000, timeout_s: float = 30) -> str:
    """What a page holds after so long by its own clock."""
    arguments = *flags, f"--virtual-time-budget={virtual_ms}", "--dump-dom", address
    with chromium(*arguments, stdout=subprocess.PIPE, text=True) as browser:
        return browser.communicate(timeout=timeout_s)[0]
