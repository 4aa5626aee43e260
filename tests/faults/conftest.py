"""The story told once, uninterrupted, for all that are killed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.harness import Story, warm


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("faults")
    with warm(folder) as server:
        told = Story(server, folder)
        told.tell()
        yield told
