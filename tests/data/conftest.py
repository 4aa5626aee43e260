from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the caches of this test go to."""
    monkeypatch.setenv("EDGENAS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "data"
