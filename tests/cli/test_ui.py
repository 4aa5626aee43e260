"""The live page: of what there is so far, made from a run that others are at work on."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from edgenas.device import load_device
from edgenas.latency import LatencyTable, load_table, table_path
from edgenas.pipeline.evaluations import known_evaluations
from edgenas.pipeline.ui import latest, live_page, state_of
from edgenas.report.live import SCRIPT
from edgenas.report.live.server import _Handler
from edgenas.run import Run
from edgenas.search import Sought, attempt, load_records
from tests.chromium import CHROMIUM, chromium, dom
from tests.cli.conftest import edgenas
from tests.cli.test_errors import fails
from tests.cli.test_report_page import Page
from tests.conftest import wait_until

RUN = Path("runs/digits")
SECTIONS = {"verdict", "front", "networks", "classes", "data", "training", "origin"}


@pytest.fixture
def folder(at_work, tmp_path, monkeypatch):
    """A working folder of one's own, with all that the other has."""
    shutil.copytree(at_work / "runs", tmp_path / "runs")
    shutil.copytree(at_work / "devices", tmp_path / "devices")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def training(folder):
    """After three of eight epochs."""
    for name in ("search", "export", "finetune", "baselines"):
        shutil.rmtree(RUN / name, ignore_errors=True)
    for name in ("supernet.safetensors", "report.html", "report.json"):
        (RUN / name).unlink()
    lines = (RUN / "metrics.jsonl").read_text().splitlines(keepends=True)
    (RUN / "metrics.jsonl").write_text("".join(lines[:3]))
    return lines[3:]


@pytest.fixture
def searching(folder):
    """A search that has not ended, after others have, whose results are gone."""
    shutil.rmtree(RUN / "export")
    records = load_records(RUN / "search")
    for file in RUN.glob("search/*.json"):
        file.unlink()
    first = records[0]
    sought = Sought(first.device, (first.execution,), tuple(r.budget_ms for r in records), first.metric)
    with pytest.raises(KeyboardInterrupt), attempt(RUN / "search", "anything", sought=sought):
        raise KeyboardInterrupt
    return sought


def get(address: str) -> str:
    with urllib.request.urlopen(address, timeout=10) as answer:
        return answer.read().decode()


def shown(run: Path = RUN) -> Page:
    with live_page(run) as page:
        return Page(get(page.address))


def listing(folder: Path) -> dict[str, tuple]:
    return {str(p): (p.stat().st_mtime_ns, p.stat().st_size, p.stat().st_ino) for p in folder.rglob("*")}


def test_a_run_that_is_trained(training):
    page = shown()
    assert "epoch 3 of 8 has ended" in page.text and "3 of 8 epochs" in page.text
    assert "so far" in page.text and "in the end" not in page.text  # of its curve
    assert len([tag for tag, _ in page.tags if tag == "svg"]) == 1
    for sentence in ("Nothing was verified yet.", "Nothing was searched for yet.", "None was chosen yet.", "Images"):
        assert sentence in page.text
    assert {a["id"] for _, a in page.tags if "id" in a} >= SECTIONS


def test_a_run_of_which_nothing_is_recorded_yet(training):
    (RUN / "metrics.jsonl").unlink()
    page = shown()
    assert "the first of 8 epochs has not ended yet" in page.text
    assert "No epoch has ended yet after which subnets were evaluated." in page.text


def test_a_run_that_is_searched(searching):
    page, known = shown(), len(known_evaluations(Run.peek(RUN)))
    assert known >= 20 and f"{known} subnets are evaluated" in page.text
    assert f"within {searching.budgets_ms[0]:g} ms, {searching.budgets_ms[1]:g} ms" in page.text
    assert "What is evaluated for a search that has not ended" in page.text and "evaluated subnets" in page.text
    assert "Nothing was searched for yet." not in page.text and "None was chosen yet." in page.text


def test_a_device_that_is_measured(training):
    run, path = Run.peek(RUN), table_path("cpu", load_device("cpu").execution())
    table, blocks = LatencyTable.load(path), len(run.space.distinct_blocks)
    few = dict([(spec.key, table.entries[spec.key]) for spec in run.space.distinct_blocks][:5])
    replace(table, entries=few, calibrations={}).save(path)
    assert f"5 of {blocks} blocks are timed" in shown().text
    replace(table, calibrations={}).save(path)
    assert f"all {blocks} blocks are timed" in shown().text
    os.utime(path, (0, 0))
    assert "blocks are timed" not in shown().text, "nobody is at it"


def test_a_finished_run_is_the_written_page_and_nothing_in_it_changes(folder):
    Run.open(RUN).report()
    (RUN / "search" / ".cpu.json.0a1b2c3d").write_text("{")  # what others are just writing is not swept
    before = listing(folder)
    with live_page(RUN) as page:
        live = Page(get(page.address))
        assert page.renew() == 0.0, "there is nothing new"
    assert listing(folder) == before
    written = Page((RUN / "report.html").read_text(encoding="utf-8"))
    assert [tag for tag, _ in live.tags if tag not in ("script", "p")] == [tag for tag, _ in written.tags if tag != "p"]
    here, there = ({word.strip() for word in page.words} for page in (live, written))
    (differs,) = there - here
    assert "Written by EdgeNAS" in differs and SCRIPT.strip() in here


def test_a_network_that_waits_for_its_verification(folder):
    next(RUN.glob("export/*/verify.json")).unlink()
    assert "1 exported network is not verified yet." in shown().text


def test_a_search_at_work_is_neither_waited_for_nor_mended(searching):
    log = RUN / "search/evaluations.log"
    known = len(known_evaluations(Run.peek(RUN)))
    with log.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(b'{"op_code": 4, "wor')  # half a line
        file.flush()
        before = log.read_bytes()
        assert f"{known} subnets are evaluated" in shown().text
        assert log.read_bytes() == before


def test_what_cannot_be_read_leaves_the_page_as_it_was(folder):
    (model,) = list(RUN.glob("export/*/model.json"))[:1]
    whole = model.read_bytes()
    with live_page(RUN) as page:
        before = json.loads(get(page.address + "version")), get(page.address)
        model.write_bytes(whole[:100])
        assert page.renew() >= 10
        now = json.loads(get(page.address + "version"))
        assert now["version"] == before[0]["version"] and get(page.address) == before[1]
        assert "This page is as it was" in now["notice"] and "model.json" in now["notice"]
        model.write_bytes(whole)
        page.renew()
        assert json.loads(get(page.address + "version"))["notice"] == ""


def test_a_table_that_is_gone_or_damaged_is_said(folder):
    path = table_path("cpu", load_device("cpu").execution())
    path.write_text("{")
    page = shown()
    assert "is no latency table, or damaged" in page.text and "is not drawn" in page.text
    path.unlink()
    assert "is not drawn. No latencies of" in shown().text


def test_the_version_follows_the_files(training):
    with live_page(RUN) as page:
        versions = [json.loads(get(page.address + "version"))["version"]]
        (RUN / "checkpoint.safetensors").write_bytes(b"not of the page")
        (RUN / "report.html").write_bytes(b"nor this")
        assert page.renew() == 0.0
        for line in training[:2]:
            with (RUN / "metrics.jsonl").open("a") as file:
                file.write(line)
            page.renew()
            versions.append(json.loads(get(page.address + "version"))["version"])
        assert len(set(versions)) == 3
        assert f'data-version="{versions[-1]}"' in get(page.address) and "epoch 5 of 8 has ended" in get(page.address)
    before = state_of(RUN)
    load_table(load_device("cpu"), Run.peek(RUN).space).save(Path("devices/cpu/another-fp32-1t.json"))
    assert state_of(RUN) != before


def test_the_latest_is_where_something_was_done_last(training, folder):
    shutil.copytree(RUN, "runs/older", copy_function=shutil.copy2)
    with (RUN / "metrics.jsonl").open("a") as file:
        file.write(training[0])
    assert latest() == RUN


@contextmanager
def started(*arguments: str):
    command = [sys.executable, "-m", "edgenas", "ui", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_with_ctrl_c(training, by):
    with started(RUN, "--json", "--quiet") as process:
        lines = iter(process.stdout.readline, "")
        text = "".join(line for _, line in zip(range(3), lines, strict=False))
        address = json.loads(text)["address"]
        assert "epoch 3 of 8 has ended" in get(address)
        process.send_signal(by)
        out, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + by
    assert out == "" and "Traceback" not in errors


def test_bad_input_is_one_error(folder, tmp_path):
    fails(edgenas("ui", tmp_path / "nothing"), 2, "is no run")
    fails(edgenas("ui", RUN, "--port", "70000"), 2, "--port")
    (RUN / "config.toml").write_text("[")
    fails(edgenas("ui", RUN), 1, "is damaged")
    shutil.rmtree("runs")
    fails(edgenas("ui"), 2, "There is no trained run in runs/", "edgenas train-supernet")


def test_without_the_extra_it_says_what_to_install(folder, without):
    without("report")
    fails(edgenas("ui", RUN), 1, "pip install 'edgenas[report]'")


def test_an_open_page_follows(training, monkeypatch):
    if CHROMIUM is None:
        pytest.skip("there is no chromium: install Debian's")
    asked, get = [], _Handler._get
    monkeypatch.setattr(_Handler, "_get", lambda self, path: (asked.append(path), get(self, path)))
    with live_page(RUN) as page, chromium(page.address):
        wait_until(lambda: "version" in asked)
        assert asked.count("") == 1
        with (RUN / "metrics.jsonl").open("a") as file:
            file.write(training[0])
        page.renew()
        wait_until(lambda: asked.count("") == 2)
        begin = len(asked)
        wait_until(lambda: asked[begin:].count("version") >= 2)
        assert asked.count("") == 2, "it is the newest now"


def test_it_stays_where_it_was_scrolled_to(training, monkeypatch):
    """With what was opened, while the newer page takes its place."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium: install Debian's")
    reader = """<script>
        addEventListener("load", () => { document.querySelector("details").open = true; scrollTo(0, 250) })
        setTimeout(() => { document.title = `${scrollY} ${document.querySelector("details").open}` }, 9000)
        </script></head>"""
    monkeypatch.setattr(_Handler, "policy", {})  # which would not let that run
    with live_page(RUN) as page:
        older = replace(page.server.shown, html=page.server.shown.html.replace("</head>", reader))
        with (RUN / "metrics.jsonl").open("a") as file:
            file.write(training[0])
        page.renew()
        newer, page.server.shown = page.server.shown, older

        def get(handler, path, get=_Handler._get):
            get(handler, path)
            if path == "version":
                handler.server.shown = newer

        monkeypatch.setattr(_Handler, "_get", get)
        shown = dom(page.address, virtual_ms=12_000, timeout_s=60)
    assert f'data-version="{newer.version}"' in shown and "epoch 4 of 8 has ended" in shown
    assert "<title>250 true</title>" in shown
