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
from tests.chromium import CHROMIUM, dom
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


@pytest.fixture
def seen(at_work, tmp_path):
    """Opens the page in Chromium, so wide and on that medium; says how wide it is then, and how many tables are cut."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium: install Debian's")

    def see(width: int, medium: str = "screen") -> tuple[int, int]:
        html = (RUN / "report.html").read_text(encoding="utf-8").replace(f"@media {medium} ", "@media all ")
        script = """<script>
            const cut = [...document.querySelectorAll(".wide")].filter(each => each.scrollWidth > each.clientWidth + 1)
            document.title = `${document.documentElement.scrollWidth} ${cut.length}`
            </script>"""
        copy = tmp_path / "page.html"
        # In a frame, since no window is narrower than 500 pixels.
        copy.write_text(html.replace("</body>", f"{script}</body>"), encoding="utf-8")
        frame = tmp_path / "frame.html"
        frame.write_text(f'<iframe scrolling="no" style="width: {width}px; height: 900px; border: 0" src="page.html" onload="'
                         'document.title = this.contentDocument.title"></iframe>')  # fmt: skip
        shown = dom(frame.as_uri(), "--allow-file-access-from-files", virtual_ms=5_000, timeout_s=60)
        found = re.search(r"<title>(\d+) (\d+)</title>", shown)
        return int(found[1]), int(found[2])

    return see


def test_it_fits_a_phone_and_a_desk(page, seen):
    """Tables may scroll, the page does not."""
    assert [seen(width)[0] for width in (390, 1280)] == [390, 1280]


def test_nothing_is_cut_on_paper(page, seen):
    """What a screen scrolls is lost there. A4 with its margins is 688 pixels wide."""
    assert seen(688, "print") == (688, 0)


def luminance(colour: str) -> float:
    """Relative, as WCAG 2.2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def mixed(one: str, other: str, share: float) -> str:
    parts = (share * int(one[i : i + 2], 16) + (1 - share) * int(other[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(part):02x}" for part in parts)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_its_words_can_be_told_from_what_is_behind_them(page, at_work, scheme):
    """By 4.5 to 1, as WCAG 2.2 asks of level AA."""
    html = (RUN / "report.html").read_text(encoding="utf-8")
    schemes = [dict(re.findall(r"(--\w+): (#\w{6})", rule)) for rule in re.findall(r":root \{([^}]*)", html)]
    colour = schemes[0] | (schemes[1] if scheme == "dark" else {})
    page_, text = colour["--page"], colour["--text"]
    shares = [int(share) / 100 for share in re.findall(r"var\(--accent\) (\d+)%", html)]
    assert max(shares) > 0.3
    on_block = re.search(r"\.block \{[^}]*[ ;]color: (#\w{6})", html)[1]
    pairs = [(text, page_), (colour["--soft"], page_), (colour["--accent"], page_), (text, colour["--panel"]),
             (colour["--soft"], colour["--panel"]), (text, mixed(colour["--accent"], page_, max(shares)))]  # fmt: skip
    pairs += [(on_block, colour[f"--k{kernel}"]) for kernel in (0, 1, 3, 5, 7)]
    for front, behind in pairs:
        darker, lighter = sorted(map(luminance, (front, behind)))
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (front, behind)
