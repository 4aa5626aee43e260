"""The page for real, in Debian's Chromium: its CPU through WebAssembly, and WebGPU in software."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from edgenas.cli import main
from edgenas.cli import profile as profile_command
from edgenas.device import Execution, browser_target, python_target
from edgenas.device.browser import exchange as exchange_module
from edgenas.errors import EdgeNASError
from edgenas.graph import Ends, get_format, random_weights
from edgenas.latency import LatencyTable, table_path
from edgenas.latency.microbenchmark import REFERENCE, empty_model_bytes, model_bytes
from edgenas.space import BlockSpec
from tests.chromium import SOFTWARE_WEBGPU, chromium, dom
from tests.conftest import ORT, free_port, make_micro_space, wait_until
from tests.device.browser.conftest import CLOSED, fake_adb
from tests.device.conftest import OpenPage, address_in

GPU, CPU = "onnxruntime-web-webgpu", "onnxruntime-web-wasm"
LIGHT = (BlockSpec("conv", 4, 3, 0, 8, kernel=3),)


@pytest.fixture
def micro(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(profile_command, "get_space", lambda *_, **__: make_micro_space())


def profiled(monkeypatch: pytest.MonkeyPatch, react, *arguments: str) -> BaseException | None:
    """What `edgenas profile --device mobile-gpu` raises; react is called with every line that the terminal shows."""
    for place in ("edgenas.cli.display.say", "edgenas.cli.display.answer"):
        monkeypatch.setattr(place, react)
    command = ["profile", "--device", "mobile-gpu", "--space", "micro", *arguments]
    raised = CliRunner().invoke(main, command, standalone_mode=False).exception
    return raised and (raised.__cause__ or raised)


@pytest.mark.usefixtures("ort_web", "micro")
def test_a_page_closed_half_way_is_opened_again_and_the_table_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_module, "SILENCE_S", 5.0)
    for name, networks in (("SESSIONS", 2), ("SESSION_NETWORKS", 4)):
        monkeypatch.setattr(sys.modules["edgenas.latency.profile"], name, networks)
    path, said = table_path("mobile-gpu", Execution(CPU)), []
    save = LatencyTable.save
    with ExitStack() as browsers:
        opened: list[subprocess.Popen] = []

        def react(line: str) -> None:
            said.append(line)
            # On a busy machine a page can be silent for long and yet be alive.
            if address_in(line) or (line == CLOSED and opened[-1].poll() is not None):
                opened.append(browsers.enter_context(chromium(address_in(said[0]))))

        def save_and_close(table: LatencyTable, where: Path) -> None:
            """The phone's battery dies as soon as the blocks are measured."""
            save(table, where)
            if len(opened) == 1:
                opened[0].kill()

        monkeypatch.setattr(LatencyTable, "save", save_and_close)
        assert profiled(monkeypatch, react, "--on", "browser", "--runtime", CPU, "--time", "8s") is None
    assert len(opened) == 2 and CLOSED in said
    assert f"Saved: {path}" in said[-1]
    table = LatencyTable.load(path)
    assert table.measured and table.covers(make_micro_space())
    assert table.provenance.execution_providers == ("wasm",)
    space = make_micro_space()
    assert table.predict_one(space, space.smallest) < table.predict_one(space, space.largest)


@pytest.mark.usefixtures("ort_web", "micro")
@pytest.mark.parametrize(
    ("flag", "words"),
    [(SOFTWARE_WEBGPU, "is emulated: .*allow.emulated"), ("--disable-gpu", "it shows no GPU")],
)
def test_without_a_real_gpu_there_is_no_table(
    flag: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Over http://localhost, as through adb."""
    fake_adb(tmp_path, monkeypatch)
    with ExitStack() as browsers:

        def react(line: str) -> None:
            if address := address_in(line):
                browsers.enter_context(chromium(flag, address))

        refused = profiled(monkeypatch, react, "--on", "browser:adb")
    assert isinstance(refused, EdgeNASError) and re.search(words, str(refused))
    assert not table_path("mobile-gpu", Execution(GPU)).exists()


def test_software_webgpu_times_and_computes(page: OpenPage) -> None:
    environment = page.target.environment(GPU)
    assert environment.emulated and environment.execution_providers == ("webgpu",)
    assert environment.adapter["architecture"] == "swiftshader" and environment.isolated
    models = {"nothing": empty_model_bytes(GPU), "light": model_bytes(LIGHT, GPU)}
    times = page.target.time(models, Execution(GPU), rounds=2)
    assert 0 < min(times["nothing"]) < min(times["light"])

    images = np.random.default_rng(0).standard_normal((1, 3, 32, 32)).astype(np.float32)
    native = python_target().run(model_bytes(REFERENCE, "onnxruntime"), images, ORT)
    for runtime in (GPU, CPU):
        outputs = page.target.run(model_bytes(REFERENCE, runtime), images, Execution(runtime))
        np.testing.assert_allclose(outputs, native, atol=1e-5)


def test_a_file_that_takes_pixels_and_gives_probabilities(page: OpenPage) -> None:
    blocks = (BlockSpec("conv", 8, 3, 0, 8, kernel=3), BlockSpec("head", 8, 8, 0, 4))
    weights = [random_weights(spec, np.random.default_rng(0)) for spec in blocks]
    model = get_format("onnx").build(blocks, weights, ends=Ends(((0.5, 0.4, 0.3), (0.2, 0.2, 0.3)), probabilities=True))
    pixels = np.random.default_rng(0).integers(0, 256, (3, 3, 8, 8), np.uint8)
    outputs = page.target.run(model, pixels, Execution(CPU))
    np.testing.assert_allclose(outputs, python_target().run(model, pixels, ORT), atol=1e-5)
    np.testing.assert_allclose(outputs.sum(1), 1, atol=1e-5)
    assert min(page.target.time({"net": model}, Execution(CPU), rounds=2)["net"]) > 0


def test_what_the_gpu_cannot_do_is_not_timed_on_the_cpu(page: OpenPage) -> None:
    int8 = model_bytes(LIGHT, "onnxruntime", "int8")
    block = model_bytes((BlockSpec("conv", 4, 8, 0, 8),), "onnxruntime", "int8")  # whose input is uint8
    times = page.target.time({"int8": int8, "block": block}, Execution(CPU), rounds=1)
    assert min(times["block"]) > 0 and min(times["int8"]) > 0
    with pytest.raises(EdgeNASError, match="The browser could not do it"):
        page.target.time({"int8": int8}, Execution(GPU), rounds=1)


def test_a_second_phone_sees_why_it_must_wait_and_disturbs_nothing(page: OpenPage) -> None:
    page.target.environment(CPU)
    seen = dom(page.address)
    assert "already measuring on another phone" in seen
    assert page.target.environment(CPU).runtime == CPU


def test_a_phone_with_half_an_address_sees_why_nothing_happens(page: OpenPage) -> None:
    assert "Open the one that the terminal shows" in dom(page.address[:-3] + "/")


@pytest.mark.usefixtures("ort_web")
def test_interrupted_the_page_stops_and_says_that_it_is_over() -> None:
    def interrupted(items, description, total=None):
        yield next(iter(items))
        raise KeyboardInterrupt

    port = free_port()
    said: list[str] = []
    with ExitStack() as browsers:
        with pytest.raises(KeyboardInterrupt), browser_target("browser", CPU, said.append) as target:
            browsers.enter_context(chromium(f"--remote-debugging-port={port}", address_in(said[0])))
            target.time({"nothing": empty_model_bytes(CPU)}, Execution(CPU), rounds=100_000, track=interrupted)
        wait_until(lambda: _title(port) == "Done. This page can be closed.", seconds=20)


def _title(port: int) -> str:
    """Of the page that Chromium has open."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as response:
        return next(tab["title"] for tab in json.load(response) if tab["type"] == "page")
