"""The page of a report: all in one file, with nothing from elsewhere, whatever names are in it."""

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from edgenas.device import load_device
from edgenas.export import load_exports, load_verifications
from edgenas.latency import load_table
from edgenas.report.page import draw_network
from edgenas.run import Run
from edgenas.search import load_records
from tests.cli.conftest import edgenas

RUN = Path("runs/digits")
FIVE_MB = 5_000_000


class Page(HTMLParser):
    """What a page is made of: its tags with their attributes, and its text."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "img", "br", "use", "path"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def page(workspace):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workspace)
        result = edgenas("report", RUN)
        assert result.exit_code == 0, result.output
        assert "report.html" in result.output
        return Page((RUN / "report.html").read_text(encoding="utf-8"))


def test_it_needs_nothing_else(page, at_work):
    assert (RUN / "report.html").stat().st_size < FIVE_MB
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object"}
    for _, attributes in page.tags:
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))
    assert "url(http" not in (RUN / "report.html").read_text(encoding="utf-8")


def test_every_reference_within_it_has_a_target(page):
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = {attributes[name][1:] for _, attributes in page.tags for name in ("href", "xlink:href") if name in attributes}
    assert wanted <= set(ids)


def test_it_shows_what_the_run_has(page, at_work):
    run = Run.open(RUN)
    for record in load_records(RUN / "search"):
        assert record.best.architecture.id in page.text
    models = load_exports(RUN / "export")
    best = max(v.accuracy for model in models for v in load_verifications(model.folder))
    assert f"{100 * best:.1f} % of the test images by the best network" in page.text
    assert len([1 for tag, a in page.tags if a.get("class") == "network"]) == len(load_records(RUN / "search"))
    mistakes = [a for tag, a in page.tags if tag == "img"]
    assert len(mistakes) == min(24, round((1 - best) * run.images("test")))
    assert "Images" in page.text and f"{run.images('train')} for training" in page.text
    assert "edgenas train-supernet --data digits" in page.text and "edgenas search" in page.text


def test_names_are_text(at_work, tmp_path):
    copy = tmp_path / "<b>run</b>"
    shutil.copytree(RUN, copy)
    result = edgenas("report", copy, "--data", "missing<i>folder")
    assert result.exit_code == 0, result.output
    html = (copy / "report.html").read_text(encoding="utf-8")
    assert "<b>run</b>" not in html and "&lt;b&gt;run&lt;/b&gt;" in html
    assert "<i>folder" not in html and "missing&lt;i&gt;folder" in html  # the images cannot be had, and it says so


def test_blocks_are_as_wide_as_their_milliseconds(at_work):
    run = Run.open(RUN)
    table = load_table(load_device("cpu"), run.space)
    for architecture in (run.space.largest, run.space.smallest):
        drawn = draw_network(run.space, architecture, table)
        assert sum(block.share for block in drawn.blocks) == pytest.approx(1)
        assert sum(block.ms for block in drawn.blocks) + drawn.overhead_ms == pytest.approx(drawn.total_ms)
        assert drawn.total_ms == pytest.approx(table.predict_one(run.space, architecture))
        assert len(drawn.blocks) == len(run.space.blocks(architecture))


def test_a_run_remembers_what_ended_well(at_work, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(RUN, copy)
    before = Run.open(copy).commands()
    assert edgenas("search", copy, "--device", "nowhere", "--latency", "1ms").exit_code != 0
    assert edgenas("report", copy).exit_code == 0
    (last,) = Run.open(copy).commands()[len(before) :]
    assert re.fullmatch(rf"\d{{4}}-\S+ edgenas report {re.escape(str(copy))}", last)
