"""A search for several devices: a network for each, and what each loses on the others."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from edgenas.device import load_device
from edgenas.latency import load_table
from edgenas.pipeline import devices
from edgenas.pipeline.devices import comparable, compare, search_devices, split_devices
from edgenas.pipeline.evaluations import run_ledger
from edgenas.report.devices import in_words, lost_in_words
from edgenas.run import Run
from edgenas.search import load_records
from tests.cli.conftest import edgenas
from tests.cli.test_errors import fails

RUN = Path("runs/digits")


@pytest.fixture(scope="module")
def found(workspace, tmp_path_factory):
    """A run that was searched for this machine and for a Pi, with what was printed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workspace)
        copy = tmp_path_factory.mktemp("devices") / "copy"
        shutil.copytree(RUN, copy)
        large = load_records(copy / "search")[-1].budget_ms
        for path in (copy / "search").glob("*ms.json"):
            path.unlink()
        table = estimate(Run.open(copy))
        space = Run.open(copy).space
        pi_ms = 1.2 * float(table.interval(space, table.predict_one(space, space.smallest)).high)
        given = ["--device", "cpu", "--device", "pi4", "--latency", f"cpu={large}ms", "--latency", f"pi4={pi_ms:g}ms"]
        result = edgenas("search", copy, *given, "--evaluations", 5, "--json")
        assert result.exit_code == 0, result.output
        yield copy, json.loads(result.stdout), result


@pytest.fixture
def here(workspace, monkeypatch):
    monkeypatch.chdir(workspace)


def estimate(run: Run):
    return load_table(load_device("pi4"), run.space)


def test_each_device_has_its_best_and_every_latency_is_its_table_s(found, here):
    copy, told, _ = found
    run, records = Run.open(copy), load_records(copy / "search")
    assert [record.device for record in records] == ["cpu", "pi4"]
    tables = {record.device: load_table(load_device(record.device), run.space, record.execution) for record in records}
    networks = told["devices"]["networks"]
    best = {label: network["id"] for network in networks for label in network["chosen_for"]}
    assert best == {record.label: record.best.architecture.id for record in records}
    known = {a.id: a for a, _ in run_ledger(run).items()}
    for network in networks:
        for record, under in zip(records, network["under"], strict=True):
            table, architecture = tables[record.device], known[network["id"]]
            assert under["latency_ms"] == pytest.approx(table.predict_one(run.space, architecture))
            high = float(table.interval(run.space, under["latency_ms"]).high)
            assert under["over"] == pytest.approx(high / record.budget_ms - 1)
            ledger = run_ledger(run)
            assert under["lost"] == pytest.approx(ledger[record.best.architecture] - ledger[architecture])
            assert (under["lost"], under["lost_within"]) == (0, 0) or not under["is_choice"]


def test_every_evaluation_counts_for_every_device(found, here):
    """A network that the search for one device has found is the other's choice where it is better there."""
    copy, told, _ = found
    run = Run.open(copy)
    for searched in told["searched"].values():
        assert searched["evaluations"] == len(run_ledger(run))
    for record in load_records(copy / "search"):
        table = load_table(load_device(record.device), run.space, record.execution)
        within = [
            value for a, value in run_ledger(run).items()
            if table.interval(run.space, table.predict_one(run.space, a)).high <= record.budget_ms
        ]  # fmt: skip
        assert max(c.validation_accuracy for c in record.front) == max(within)


def test_one_network_for_all_keeps_all_budgets(found, here):
    _, told, result = found
    comparison = told["devices"]
    (common,) = (network for network in comparison["networks"] if network["id"] == comparison["for_all"])
    assert all(under["over"] <= 0 for under in common["under"])
    assert "One network for all of them" in result.stderr or "one network is enough" in result.stderr


def test_it_is_shown_as_a_table_and_a_picture_and_on_the_page(found, here):
    copy, told, result = found
    assert "The best network for each device" in result.stderr and "estimated on pi4" in result.stderr
    assert result.stderr.count("has not been measured") == 1
    assert (copy / "devices.png").read_bytes().startswith(b"\x89PNG") and told["picture"] == str(copy / "devices.png")
    report = edgenas("report", copy, "--json")
    assert report.exit_code == 0, report.output
    assert json.loads(report.stdout)["devices"] == told["devices"] == json.loads((copy / "report.json").read_text())["devices"]
    page = (copy / "report.html").read_text()
    assert "Devices compared" in page and 'href="#devices"' in page
    assert all(network["id"] in page for network in told["devices"]["networks"])


def test_a_run_for_one_device_has_no_comparison(at_work):
    assert "devices" not in json.loads((RUN / "report.json").read_text())
    assert "Devices compared" not in (RUN / "report.html").read_text()


def test_interrupted_it_goes_on_with_the_device_that_was_left(found, here, monkeypatch, tmp_path):
    shutil.copytree(found[0], tmp_path / "copy")
    run = Run.open(tmp_path / "copy")
    budgets = {record.device: (record.budget_ms,) for record in load_records(run.path / "search")}
    searched, whole = [], devices.search_run

    def search(run, budgets_ms, device, **options):
        searched.append(device if isinstance(device, str) else f"{device.device} again")
        if searched == ["cpu", "pi4"]:
            raise KeyboardInterrupt
        return whole(run, budgets_ms, device, **options)

    monkeypatch.setattr(devices, "search_run", search)
    with pytest.raises(KeyboardInterrupt):
        search_devices(run, budgets, evaluations=2)
    searched.append("then")
    search_devices(run, budgets, evaluations=2)
    assert searched == ["cpu", "pi4", "then", "pi4", "cpu again", "pi4 again"]
    search_devices(run, budgets, evaluations=0)
    assert searched[6:] == ["cpu", "pi4", "cpu again", "pi4 again"], "what has ended begins anew"


def test_budgets_belong_to_devices(at_work):
    assert split_devices(["cpu", "pi4"], [("cpu", 2.0), ("pi4", 30.0), ("cpu", 3.0)]) == {"cpu": (2.0, 3.0), "pi4": (30.0,)}
    assert split_devices(["cpu", "pi4"], [("cpu:litert", 2.0), ("pi4", 30.0)]) == {"cpu:litert": (2.0,), "pi4": (30.0,)}
    both = ["--device", "cpu", "--device", "pi4", "--latency"]
    fails(edgenas("search", RUN, *both, "2ms"), 2, "2 ms names no device", "--latency cpu=2ms")
    fails(edgenas("search", RUN, *both, "cpu=2ms"), 2, "--device pi4 has no budget")
    other = [*both, "cpu=2ms", "--latency", "pi4=30ms", "--latency", "mobile-gpu=5ms"]
    fails(edgenas("search", RUN, *other), 2, "mobile-gpu, which is not among them")
    before = len(run_ledger(Run.open(RUN)))
    result = edgenas("search", RUN, *both, "cpu=500ms", "--latency", "pi4=0.0001ms")
    fails(result, 1, "latency on pi4", "Allow at least")
    assert len(run_ledger(Run.open(RUN))) == before


def test_what_is_lost_in_words(found, here):
    copy, _, _ = found
    comparison = compare(Run.open(copy), load_records(copy / "search"))
    choice = next(under for network in comparison.networks for under in network.under if under.is_choice)
    assert lost_in_words(choice) == "best"
    assert lost_in_words(replace(choice, is_choice=False, lost=0.012, lost_within=0.02)) == "-1.2 ±2.0"
    assert lost_in_words(replace(choice, is_choice=False, lost=-0.005, lost_within=None)) == "+0.5"
    assert lost_in_words(replace(choice, is_choice=False, over=0.25)) == "25 % over"
    assert in_words(replace(comparison, for_all=None)) == [
        "No network that was evaluated keeps all of these budgets: each device needs its own."
    ]
    network = comparison.networks[0]
    lossy = replace(network, chosen_for=(), under=tuple(replace(u, lost=0.03, lost_within=0.01) for u in network.under))
    (sentence,) = in_words(replace(comparison, networks=(lossy,), for_all=lossy.id))
    assert "loses at most 3.0 ±1.0 points" in sentence and "chance" not in sentence
    (sentence,) = in_words(
        replace(comparison, networks=(replace(lossy, under=(replace(lossy.under[0], lost_within=0.04),)),), for_all=lossy.id)
    )
    assert "no more than chance explains" in sentence
    unknown = replace(lossy, under=(replace(lossy.under[0], lost_within=None),))
    (sentence,) = in_words(replace(comparison, networks=(unknown,), for_all=lossy.id))
    assert "loses at most 3.0 points" in sentence and "chance" not in sentence


def test_a_report_compares_the_last_search_for_each_device(found, here):
    """That is the last one of the machine, and the one of the Pi."""
    first, second = load_records(found[0] / "search")
    later = replace(first, budget_ms=first.budget_ms * 2, date="2999-01-01T00:00:00+00:00")
    run = Run.open(found[0])
    assert comparable(run, [first, later, second]) == [later, second]
    assert comparable(run, [first, later]) == []
    assert comparable(run, [first, replace(second, metric="balanced")]) == []
