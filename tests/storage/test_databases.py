import gc

import pytest
from sqlalchemy.engine import Engine

from edgenas.storage import open_storage, open_study


def test_connections_are_closed_when_nobody_has_the_storage_any_more(tmp_path, monkeypatch):
    closed, dispose = [], Engine.dispose
    monkeypatch.setattr(Engine, "dispose", lambda engine: closed.append(str(engine.url)) or dispose(engine))
    study = open_study(open_storage(f"sqlite:///{tmp_path}/s.db"), "a", direction="maximize")
    study.ask()
    assert not closed
    del study
    gc.collect()
    assert closed == [f"sqlite:///{tmp_path}/s.db"]


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///{}/s.db"])
def test_what_was_written_is_there(tmp_path, url):
    study = open_study(open_storage(url.format(tmp_path)), "a", direction="maximize")
    study.tell(study.ask(), 0.5)
    assert study.best_value == 0.5
