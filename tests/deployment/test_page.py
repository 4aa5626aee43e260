"""The page: its preparation is Pillow's to the last bit, and in Chromium it classifies what a camera sees, offline too."""

from __future__ import annotations

import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgenas.data import prepare
from edgenas.deployment import page as page_module
from edgenas.deployment import write_page
from edgenas.deployment.predict import Classifier
from edgenas.errors import UsageError
from edgenas.export import export
from edgenas.supernet import Supernet
from edgenas.training import Evaluator
from tests.chromium import chromium
from tests.conftest import wait_until

NODE = """
import { readFileSync, writeFileSync } from "node:fs";
const [module, task] = process.argv.slice(2);
const { square, asInput } = await import(module);
const { images, how } = JSON.parse(readFileSync(task));
for (const { file, width, height, fit } of images) {
  const pixels = square({ data: readFileSync(file), width, height }, how.resolution, fit);
  writeFileSync(`${file}.${fit}`, pixels);
  writeFileSync(`${file}.${fit}.input`, Buffer.from(asInput(pixels, how).buffer));
}
"""
WEB = Path(page_module.__file__).parent / "web"
HOW = {"resolution": 21, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")
def test_pixels_are_those_of_pillow(tmp_path: Path) -> None:
    rng, images = np.random.default_rng(0), []
    for number, (width, height) in enumerate([(64, 48), (37, 90), (21, 21), (9, 30), (200, 21), (33, 34)]):
        pixels = rng.integers(0, 256, (height, width, 4), np.uint8)
        (tmp_path / f"{number}").write_bytes(pixels.tobytes())
        for fit in ("crop", "pad", "squeeze"):
            images.append((pixels, {"file": str(tmp_path / f"{number}"), "width": width, "height": height, "fit": fit}))
    (tmp_path / "task.json").write_text(json.dumps({"images": [image for _, image in images], "how": HOW}))
    (tmp_path / "run.mjs").write_text(NODE)
    subprocess.run(["node", tmp_path / "run.mjs", WEB / "classify.mjs", tmp_path / "task.json"], check=True)
    for pixels, image in images:
        expected = prepare.square(Image.fromarray(pixels[..., :3]), 21, image["fit"])
        found = np.frombuffer(Path(f"{image['file']}.{image['fit']}").read_bytes(), np.uint8).reshape(21, 21, 3)
        is_tall = image["height"] > image["width"]
        assert np.abs(found.astype(int) - expected).max() <= (1 if is_tall else 0), image
        values = np.frombuffer(Path(f"{image['file']}.{image['fit']}.input").read_bytes(), np.float32).reshape(1, 3, 21, 21)
        np.testing.assert_array_equal(values, prepare.as_input(found, HOW, "NCHW"))


def test_what_no_page_can_show(exported, tmp_path: Path) -> None:
    model = exported[1]
    without = replace(model, folder=tmp_path / "empty")
    with pytest.raises(UsageError, match=r"has no model\.onnx for the page"):
        write_page(tmp_path / "page", without)
    deep = replace(model, preprocessing=replace(model.preprocessing, value_range=(0.0, 4095.0)))
    with pytest.raises(UsageError, match="more than 8 bits, which no page reads"):
        write_page(tmp_path / "page", deep)
    assert not (tmp_path / "page").exists()


HARNESS = """<!doctype html><iframe id="page"></iframe><script type="module">
const tell = (what) => fetch("/told", { method: "POST", body: JSON.stringify(what) });
const frame = document.getElementById("page");
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
async function seen() {
  frame.src = "/index.html?" + Math.random();
  for (let i = 0; i < 600; i++) {
    const inside = frame.contentDocument;
    const lines = [...(inside?.querySelectorAll("#answer li") ?? [])].map((line) => line.textContent);
    if (lines.length) return lines;
    if (inside?.getElementById("status")?.textContent.startsWith("The network cannot")) return [inside.body.textContent];
    await pause(100);
  }
  return ["nothing: " + frame.contentDocument.body.textContent];
}
const first = await seen();
await navigator.serviceWorker.ready;
await pause(1000);
await tell({ offline: true });
frame.src = "about:blank";
await pause(300);
await tell({ first, second: await seen() });
</script>"""


class Handler(http.server.SimpleHTTPRequestHandler):
    """The page's folder, as any web server has it, until it is told to be offline."""

    told: list[dict]

    def do_GET(self) -> None:
        if any("offline" in what for what in self.told):
            self.send_error(503)
            return
        super().do_GET()

    def do_POST(self) -> None:
        self.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(params=["float32", "uint8"])
def served(request: pytest.FixtureRequest, exported, ort_web, tmp_path: Path) -> Iterator[tuple]:
    run, model, dataset, _ = exported
    ends = {"image_type": "uint8", "answer": "probabilities"} if request.param == "uint8" else {}
    evaluator = Evaluator(Supernet(run.space), dataset)
    mine = export(evaluator, model.architecture, tmp_path / "export", ("onnx",), **ends)
    write_page(tmp_path / "page", mine)
    (tmp_path / "page" / "harness.html").write_text(HARNESS)
    handler = type("Own", (Handler,), {"told": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=tmp_path / "page"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield mine, f"http://localhost:{server.server_port}", handler.told
    server.shutdown()
    server.server_close()


def test_a_camera_in_chromium_offline_too(served: tuple, tmp_path: Path) -> None:
    model, address, told = served
    frame = Image.new("RGB", (64, 48), (200, 120, 40))
    frame.save(tmp_path / "camera.jpg", quality=95)
    (tmp_path / "camera.mjpeg").write_bytes((tmp_path / "camera.jpg").read_bytes() * 2)
    camera = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
              f"--use-file-for-fake-video-capture={tmp_path / 'camera.mjpeg'}")  # fmt: skip
    with chromium(*camera, f"{address}/harness.html"):
        wait_until(lambda: any("second" in what for what in told), 180)
    (answers,) = [what for what in told if "second" in what]
    with Image.open(tmp_path / "camera.jpg") as image:
        expected = Classifier(model.folder).predict(image)
    for lines in (answers["first"], answers["second"]):
        assert len(lines) == 2, lines
        label, percent, _ = lines[0].rsplit(" ", 2)
        assert label == expected[0][0]
        assert float(percent) == pytest.approx(100 * expected[0][1], abs=10)  # a video's colours are not those of its frames
