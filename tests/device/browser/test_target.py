"""From a page's answers to a table: what counts as a measurement, and how a phone is reached."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import socket
import tarfile
from pathlib import Path

import numpy as np
import pytest

from edgenas.device import BrowserTarget, DeviceProfile, Execution, browser_target
from edgenas.device.browser import exchange as exchange_module
from edgenas.device.browser import onnxruntime_web as onnxruntime_web_module
from edgenas.device.browser.onnxruntime_web import ARCHIVE, FILES, onnxruntime_web
from edgenas.device.browser.provenance import provenance
from edgenas.errors import EdgeNASError, UsageError
from edgenas.files import cache_dir
from edgenas.latency import LatencyTable, profile
from edgenas.latency.profile import schedule
from edgenas.space import SearchSpace
from tests.conftest import wait_until
from tests.device.browser.conftest import ENVIRONMENT, Served, fake_adb, in_background

PHONE = DeviceProfile("phone", "A phone.", "native", "onnxruntime-web-webgpu", 1, "browser")
GPU, CPU = "onnxruntime-web-webgpu", "onnxruntime-web-wasm"
SOFTWARE = {"vendor": "google", "architecture": "swiftshader", "device": "", "description": "", "fallback": True}


# ---- tables ----


def test_a_table_survives_a_page_closed_half_way(
    served: Served, micro_space: SearchSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange_module, "SILENCE_S", 1.0)
    path, target = tmp_path / "t.json", BrowserTarget(served.exchange)
    with in_background(lambda: profile(micro_space, PHONE, target, path, Execution(GPU), rounds=2)) as outcome:
        first = served.visitor()
        first.open()
        before = [isinstance(part, np.ndarray) for part in schedule(micro_space, micro_space.distinct_blocks)].index(False)
        for _ in range(1 + before + 1):  # what it is, networks, and all blocks
            first.obey(first.task())
        lost = first.task()
        wait_until(lambda: len(served.said) > 1, seconds=20)
        assert len(LatencyTable.load(path).entries) == len(micro_space.distinct_blocks), "what was measured is saved"
        second = served.visitor()
        second.open()
        assert second.task() == lost
        while "result" not in outcome and "error" not in outcome:
            status, _ = second.ask("GET", "task")
            if status == 200:
                second.obey(second.task())
    table = outcome["result"]
    assert table.measured and table.covers(micro_space) and table == LatencyTable.load(path)
    assert table.provenance.cpu == "GPU arm valhall of Pixel 7"


def test_a_software_gpu_is_no_measurement(served: Served, micro_space: SearchSpace, tmp_path: Path) -> None:
    path, target, visitor = tmp_path / "t.json", BrowserTarget(served.exchange), served.visitor()
    visitor.open()

    def profiled(**options: bool) -> dict:
        with in_background(lambda: profile(micro_space, PHONE, target, path, Execution(GPU), rounds=2, **options)) as outcome:
            while "result" not in outcome and "error" not in outcome:
                if visitor.ask("GET", "task")[0] == 200:
                    visitor.obey(visitor.task(), ENVIRONMENT | {"adapter": SOFTWARE})
        return outcome

    refused = profiled()["error"]
    assert isinstance(refused, EdgeNASError) and "`allow_emulated`" in str(refused) and not path.exists()
    table = profiled(allow_emulated=True)["result"]
    assert (table.kind, table.measured) == ("emulated", False)
    assert table.provenance.adapter == SOFTWARE


@pytest.mark.parametrize(
    ("adapter", "emulated"),
    [
        ({}, False),
        ({"vendor": "", "architecture": ""}, False),
        ({"fallback": True}, True),
        ({"fallback": None}, True),
        ({"vendor": "google", "architecture": ""}, True),
        ({"architecture": "SwiftShader"}, True),
        ({"description": "llvmpipe (LLVM 19.1.7, 256 bits)"}, True),
        ({"vendor": "microsoft", "description": "Microsoft Basic Render Driver"}, True),
    ],
)
def test_which_adapters_pass_as_a_gpu(adapter: dict, emulated: bool) -> None:
    told = ENVIRONMENT | {"adapter": ENVIRONMENT["adapter"] | adapter}
    assert provenance(GPU, told).emulated is emulated
    assert provenance(CPU, told).emulated is False


def test_what_a_phone_tells_of_itself() -> None:
    about = provenance(GPU, ENVIRONMENT)
    assert about.runtime_version == "1.30.0 in Chrome 139"
    assert (about.cpu, about.system, about.machine) == ("GPU arm valhall of Pixel 7", "Android 14.0.0", "unknown")
    assert about.fingerprint != provenance(CPU, ENVIRONMENT).fingerprint
    samsung = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36"
    safari = (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/26.0 Mobile/15E148 Safari/604.1"
    )
    for agent, browser in ((samsung, "Samsung Internet 27"), (safari, "Safari 26"), ("curl/8", "an unknown browser")):
        assert provenance(GPU, ENVIRONMENT | {"user_agent": agent}).runtime_version == f"1.30.0 in {browser}"


@pytest.mark.parametrize(
    "wrong", [{"cores": 0}, {"cores": "8"}, {"tick_ms": float("nan")}, {"model": 3}, {"model": "x" * 501}, {"adapter": None}]
)
def test_a_malformed_environment_is_refused(served: Served, wrong: dict) -> None:
    visitor, target = served.visitor(), BrowserTarget(served.exchange)
    visitor.open()
    with in_background(lambda: target.environment(GPU)) as outcome:
        task = visitor.task()
        assert visitor.answer(task, environment=ENVIRONMENT | wrong)[0] == 400
        visitor.obey(task)
    assert outcome["result"].runtime == GPU


def test_outputs_come_back_in_parts_and_in_shape(served: Served) -> None:
    images = np.random.default_rng(0).standard_normal((70, 1, 2, 2)).astype(np.float32)
    visitor, target = served.visitor(), BrowserTarget(served.exchange)
    visitor.open()
    with in_background(lambda: target.run(b"model", images, Execution(CPU))) as outcome:
        for count in (64, 6):
            task = visitor.task()
            sent = np.frombuffer(visitor.file(task, 1), np.float32).reshape(-1, 4)
            assert (task["images"], len(sent), visitor.file(task, 0)) == (count, count, b"model")
            assert visitor.answer(task, outputs=sent[1:].tolist(), shape=[2, 2])[0] == 400, "one is missing"
            assert visitor.answer(task, outputs=sent.tolist(), shape=[2, 2])[0] == 204
    np.testing.assert_array_equal(outcome["result"], images[:, 0])


# ---- ways to a phone ----


@pytest.fixture
def files() -> None:
    """What would be ONNX Runtime Web."""
    folder = cache_dir() / f"onnxruntime-web-{onnxruntime_web_module.VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (folder / name).write_text(name)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGENAS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_over_the_network_it_is_https_and_over_a_cable_localhost(
    own_cache: Path, files: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, said = fake_adb(tmp_path, monkeypatch), []
    with browser_target("browser", GPU, said.append):
        port = int(re.search(r"https://[^:/]+:(\d+)/", said[-1])[1])
        address = re.search(r"https://([^:/]+):", said[-1])[1]
        socket.create_connection((address, port), timeout=10).close()
        with pytest.raises(OSError):  # at the address that is shown alone
            socket.create_connection(("127.0.0.9", port), timeout=10)
        assert "https://" in said[0] and "█" in said[0]
        assert not log.exists()
    with browser_target("browser:adb", GPU, said.append):
        port = said[-1].partition("http://localhost:")[2].partition("/")[0]
        assert log.read_text() == f"reverse tcp:{port} tcp:{port}\n"
    assert log.read_text().endswith(f"reverse --remove tcp:{port}\n")


def test_without_adb_or_a_phone(own_cache: Path, files: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        with pytest.raises(EdgeNASError, match="There is no adb here"), browser_target("browser:adb", GPU, print):
            pass
    fake_adb(tmp_path, monkeypatch, "echo 'adb: no devices/emulators found' >&2; exit 1")
    with (
        pytest.raises(EdgeNASError, match=r"no devices/emulators found.*USB debugging"),
        browser_target("browser:adb", GPU, print),
    ):
        pass


def test_what_is_no_way_to_a_browser() -> None:
    with pytest.raises(UsageError, match="write browser, or browser:adb"), browser_target("browser:usb", GPU, print):
        pass
    with pytest.raises(UsageError, match="litert does not run in a browser"), browser_target("browser", "litert", print):
        pass


# ---- ONNX Runtime Web ----


@pytest.fixture
def published(own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive as npm's registry has it, at an address of its own."""
    path = tmp_path / "registry" / ARCHIVE
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as tar:
        for name, inside in FILES.items():
            member = tarfile.TarInfo(inside)
            member.size = len(name)
            tar.addfile(member, io.BytesIO(name.encode()))
    digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    monkeypatch.setattr(onnxruntime_web_module, "INTEGRITY", f"sha512-{digest}")
    monkeypatch.setattr(onnxruntime_web_module, "URL", path.as_uri())
    return path


def test_it_is_downloaded_once(published: Path) -> None:
    folder = onnxruntime_web()
    assert {file.name: file.read_text() for file in folder.iterdir()} == {name: name for name in FILES}
    published.unlink()
    assert onnxruntime_web() == folder


def test_offline_it_says_what_to_bring_and_takes_it(published: Path, own_cache: Path) -> None:
    brought = published.read_bytes()
    published.unlink()
    with pytest.raises(EdgeNASError) as caught:
        onnxruntime_web()
    assert onnxruntime_web_module.URL in str(caught.value) and str(own_cache / ARCHIVE) in str(caught.value)
    own_cache.mkdir(exist_ok=True)
    (own_cache / ARCHIVE).write_bytes(brought)
    assert (onnxruntime_web() / "ort.mjs").read_text() == "ort.mjs"


def test_another_archive_is_refused(published: Path, own_cache: Path) -> None:
    published.write_bytes(published.read_bytes() + b"\0")
    with pytest.raises(EdgeNASError, match="is not what was published"):
        onnxruntime_web()
    assert not list(own_cache.rglob("ort.*"))
