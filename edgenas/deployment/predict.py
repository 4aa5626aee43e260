"""Classify images with an exported network: `python predict.py photo.jpg`.

It needs numpy, Pillow and one runtime, works from Python 3.9 on, and needs nothing of EdgeNAS but `prepare.py`: both are in
every bundle, beside

    model.onnx, model.tflite, ...   the network; the first of them that a runtime here opens is used
    model.json                      its classes, how an image becomes its input, and what its outputs are
    open_ncnn.py, ...               how it is opened in the runtimes that the bundle was made for, where it takes a file
    selftest.npz                    images with the outputs that are right for them
    SHA256SUMS                      of all these files
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import io
import json
import os
import runpy
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

# onnxruntime's Linux wheels send usage data and keep an identifier in the home folder unless this is set before the import.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import numpy as np
from PIL import Image

# openvino sends them by this package when it is imported, and goes without where that cannot be imported.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

if __package__:
    from edgenas.data import prepare
else:  # in a bundle
    import prepare  # type: ignore[import-not-found, no-redef]

RUNTIMES = {
    "onnxruntime": (".onnx", "onnxruntime"),
    "litert": (".tflite", "ai_edge_litert.interpreter"),
    "tflite-runtime": (".tflite", "tflite_runtime.interpreter"),
    "openvino": (".onnx", "openvino"),
    "opencv": (".onnx", "cv2"),
    "ncnn": (".ncnn.param", "ncnn"),
}
"""By name: the suffix of the files that it opens, and the module that does."""
OWN_FILE = ("openvino", "opencv", "ncnn")
"""The runtimes that a file beside this one opens, `open_NAME.py`. They take files of float32 alone."""
OPENERS = (Path(__file__).resolve().parent, Path(__file__).resolve().parents[1] / "device" / "openers")
"""Where these files are: in a bundle, in EdgeNAS."""
TOLERANCES = {"fp32": 0.001, "fp16": 0.02, "int8": 0.1}
"""How far outputs may be from those that are right, by precision, as a share of the largest: kernels round in different orders,
and a whole step of an int8 output is more than a hundredth of it."""
LAYOUTS = {".onnx": "NCHW", ".tflite": "NHWC", ".ncnn.param": "NCHW"}
BENCHMARK_S = 5.0


class Failure(Exception):
    """What stops this program, in one sentence."""


class Classifier:
    """The network of a bundle or of an exported model's folder, opened in a runtime.

    folder: with model.json and a model file. runtime: one of `RUNTIMES`; None takes the first that is installed and has a file.
    file: a model file's name, where there are several. Raises Failure where nothing here opens one.
    """

    def __init__(self, folder: Path, runtime: str | None = None, threads: int = 1, file: str | None = None):
        about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        self.labels: list[str] = about["classes"]
        self.how: dict[str, Any] = about["preprocessing"]
        self.gives_probabilities: bool = about.get("output") == "probabilities"
        self.file, self.runtime, self._run = _opened(folder, runtime, threads, file)
        self.layout = LAYOUTS[suffix_of(self.file)]

    def outputs(self, pixels: np.ndarray) -> np.ndarray:
        """`(r, r, 3)` uint8 of an image made square, see `prepare.square` -> `(classes,)` float32, as the network gives it."""
        return self._run(prepare.as_input(pixels, self.how, self.layout))[0]

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """The same, as probabilities whatever the network gives."""
        found = self.outputs(pixels)
        return found.astype(np.float64) if self.gives_probabilities else softmax(found)

    def predict(self, image: Image.Image, top: int = 5) -> list[tuple[str, float]]:
        """The most probable classes of an image, each with its probability, the most probable first."""
        how = self.how
        pixels = prepare.square(image, how["resolution"], how.get("fit", "crop"), how.get("value_range"))
        probabilities = self.probabilities(pixels)
        return [(self.labels[i], float(probabilities[i])) for i in np.argsort(-probabilities, kind="stable")[:top]]


def softmax(logits: np.ndarray) -> np.ndarray:
    """`(classes,)` scores as probabilities."""
    powers = np.exp(logits.astype(np.float64) - logits.max())
    return powers / powers.sum()


def _opened(folder: Path, runtime: str | None, threads: int, file: str | None) -> tuple[Path, str, Any]:
    """The model file, the name of its runtime, and a function from its input to its output."""
    files = [path for path in folder.glob("model*") if suffix_of(path)]
    files.sort(key=lambda path: ("-" in path.stem, path.name))  # float32, which has no precision in its name, before the others
    if file is not None:
        files = [path for path in files if path.name == file]
    known = runtimes_for(folder)
    if runtime is not None and runtime not in known:
        raise Failure(f"This bundle was not made for {runtime}, but for {' and '.join(known)}: export one that is.")
    for name in [runtime] if runtime else known:
        suffix, module = RUNTIMES[name]
        of_it = [path for path in files if takes(name, path)]
        if not of_it:
            continue
        try:
            found = importlib.import_module(module)
        except ImportError:
            continue
        if name in OWN_FILE:
            return of_it[0], name, _by_own_file(name, of_it[0], threads)
        open_file = _onnx if suffix == ".onnx" else _tflite
        return of_it[0], name, open_file(found, of_it[0], threads)
    able = [name for name in known if any(takes(name, path) for path in files)]
    wanted = " or ".join([runtime] if runtime else able)
    if not files or not wanted:
        raise Failure(f"{folder} has no {file or 'model file'} that {runtime or 'a runtime'} opens.")
    raise Failure(f"{wanted} is not installed: pip install -r requirements.txt")


def suffix_of(path: Path) -> str:
    """One of `LAYOUTS`, or nothing for what is no model file."""
    return next((suffix for suffix in LAYOUTS if path.name.endswith(suffix)), "")


def takes(runtime: str, path: Path) -> bool:
    """Whether a runtime opens such a model file."""
    return suffix_of(path) == RUNTIMES[runtime][0] and (runtime not in OWN_FILE or precision_of(path) == "fp32")


def precision_of(path: Path) -> str:
    """By the name of a model file."""
    return next((each for each in TOLERANCES if f"-{each}" in path.name), "fp32")


def runtimes_for(folder: Path) -> list[str]:
    """The runtimes that this program knows how to open a folder's files in; those that have a file of theirs there first."""
    brought = [name for name in OWN_FILE if _own_file(folder, name)]
    others = [name for name in RUNTIMES if name not in OWN_FILE or any(_own_file(place, name) for place in OPENERS)]
    return brought + [name for name in others if name not in brought]


def _own_file(folder: Path, name: str) -> Path | None:
    path = folder / f"open_{name}.py"
    return path if path.is_file() else None


def _by_own_file(name: str, path: Path, threads: int) -> Any:
    """By the code that is beside this program, never by that of a folder that it is handed."""
    opener = next(file for file in (_own_file(place, name) for place in OPENERS) if file is not None)
    content = path.read_bytes()
    if name == "ncnn":  # of two files
        content += b"\0" + path.with_name(path.name[: -len("param")] + "bin").read_bytes()
    session = runpy.run_path(str(opener))["open_session"](name, content, threads)
    return session.run


def _onnx(module: Any, path: Path, threads: int) -> Any:
    options = module.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = module.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda values: session.run(None, {name: values})[0]


def _tflite(module: Any, path: Path, threads: int) -> Any:
    interpreter = module.Interpreter(model_path=str(path), num_threads=threads)
    interpreter.allocate_tensors()
    (enters,), (leaves,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(values: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(enters["index"], values)
        interpreter.invoke()
        found: np.ndarray = interpreter.get_tensor(leaves["index"])
        return found

    return run


# ---- images ----


def images_of(names: list[str]) -> Iterator[tuple[str, Any]]:
    """A name and what Pillow opens for every image: files, all files of folders, and for `-` JPEG frames on standard input."""
    for name in names:
        if name == "-":
            for number, frame in enumerate(jpeg_frames(sys.stdin.buffer)):
                yield f"frame {number}", io.BytesIO(frame)
        elif Path(name).is_dir():
            yield from ((str(path), path) for path in sorted(Path(name).rglob("*")) if path.is_file())
        else:
            yield name, name


def jpeg_frames(stream: BinaryIO) -> Iterator[bytes]:
    """The pictures of a stream of JPEG files one after the other, as cameras send them (motion JPEG).

    A picture ends at its end-of-image mark, FF D9. Within a picture's scan no other mark may look like it, and segments such as
    an EXIF thumbnail, which may hold one, are skipped by their length.
    """
    data = b""
    while True:
        end = _end_of_jpeg(data)
        if end:
            yield data[data.find(b"\xff\xd8") : end]
            data = data[end:]
            continue
        more = stream.read1(1 << 16) if hasattr(stream, "read1") else stream.read(1 << 16)
        if not more:
            return
        data += more


def _end_of_jpeg(data: bytes) -> int:
    """Where the first picture ends; 0 where it has not ended yet."""
    at = data.find(b"\xff\xd8")
    if at < 0:
        return 0
    at += 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return 0
        mark, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        at += 2 + length
        if mark == 0xDA:  # the scan follows
            return data.find(b"\xff\xd9", at) + 2 if data.find(b"\xff\xd9", at) >= 0 else 0
    return 0


def opened(source: Any) -> Image.Image:
    """An image that Pillow opens, its pixels unread. Raises ValueError with the reason where it cannot."""
    if isinstance(source, str) and not Path(source).exists():
        raise ValueError("there is no such file")
    try:
        return Image.open(source)
    except Exception as error:
        raise ValueError(f"it is no image that can be read ({type(error).__name__})") from None


# ---- what the commands do ----


def classify(classifier: Classifier, names: list[str], top: int, as_json: bool) -> int:
    """Print the classes of images; return how many could not be read."""
    failed = 0
    for name, source in images_of(names):
        try:
            with opened(source) as image:
                found = classifier.predict(image, top)
        except Exception as error:  # Pillow's decoders raise anything
            failed += 1
            print(f"{name}: {error}", file=sys.stderr, flush=True)
            continue
        if as_json:
            predictions = [{"label": label, "probability": round(share, 6)} for label, share in found]
            print(json.dumps({"image": name, "predictions": predictions}, ensure_ascii=False), flush=True)
        else:
            print(f"{name}: " + ", ".join(f"{label} {share:.1%}" for label, share in found), flush=True)
    return failed


def self_test(folder: Path, runtime: str | None, threads: int) -> None:
    """Raises Failure where a file is not what it was, or something here computes another thing than where it was exported."""
    for line in (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
        digest, name = line.split("  ", 1)
        if not (folder / name).is_file() or hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
            raise Failure(f"{name} is missing, damaged or changed: unpack the bundle again.")
    print("files: whole")
    with np.load(folder / "selftest.npz", allow_pickle=False) as stored:
        stored = dict(stored)
    about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    how = about["preprocessing"]
    pixels = prepare.square(
        Image.open(io.BytesIO(stored["picture"].tobytes())), how["resolution"], how.get("fit", "crop"), how.get("value_range")
    )
    if not np.array_equal(pixels, stored["picture_pixels"]):
        worst = np.abs(pixels.astype(int) - stored["picture_pixels"]).max()
        raise Failure(f"This Pillow prepares images otherwise, by up to {worst} of 255 levels: pip install --upgrade pillow")
    print("preparation: equal to the last bit")
    tested = 0
    for key in sorted(stored):
        name = key[len("outputs ") :] if key.startswith("outputs ") else ""
        for each in runtimes_for(folder) if name else ():
            if runtime not in (None, each) or not takes(each, Path(name)):
                continue
            try:
                classifier = Classifier(folder, each, threads, name)
            except Failure:
                continue
            _compare(classifier, stored["images"], stored[key])
            tested += 1
    if not tested:
        raise Failure("No runtime here opens a file of this bundle: pip install -r requirements.txt")


def _compare(classifier: Classifier, images: np.ndarray, right: np.ndarray) -> None:
    name = classifier.file.name
    precision = precision_of(classifier.file)
    found = np.stack([classifier.outputs(pixels) for pixels in images])
    worst = float(np.abs(found - right).max() / max(np.abs(right).max(), 1e-9))
    if not worst <= TOLERANCES[precision]:
        raise Failure(
            f"{name} in {classifier.runtime} computes something else here: outputs differ by up to {worst:.1%} of the largest, "
            f"and no more than {TOLERANCES[precision]:.1%} is rounding. Use another runtime or file, and please report it."
        )
    print(f"{name} in {classifier.runtime}: {len(images)} images, outputs within {worst:.2%} of the largest")


def benchmark(classifier: Classifier, seconds: float = BENCHMARK_S) -> None:
    """Print how long an image takes, its preparation left out."""
    pixels = np.zeros((classifier.how["resolution"],) * 2 + (3,), np.uint8)
    for _ in range(5):
        classifier.outputs(pixels)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 20:
        begin = time.perf_counter()
        classifier.outputs(pixels)
        times.append(1e3 * (time.perf_counter() - begin))
    middle, p95, p99 = np.percentile(times, [50, 95, 99])
    print(
        f"{classifier.file.name} in {classifier.runtime}: {middle:.2f} ms (median of {len(times)}), "
        f"95 % within {p95:.2f} ms, 99 % within {p99:.2f} ms"
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Classify images with this folder's network.")
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="files, folders, or - for JPEG frames on standard input")
    parser.add_argument("--top", type=int, default=5, metavar="N", help="how many classes to print; 5")
    parser.add_argument("--json", action="store_true", help="print one JSON object per image")
    parser.add_argument("--runtime", choices=list(RUNTIMES), help="what computes; the first that is installed")
    parser.add_argument("--model", metavar="FILE", help="which model file, where there are several")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="how many compute; 1")
    parser.add_argument("--self-test", action="store_true", help="check that this machine computes what it should")
    parser.add_argument("--benchmark", action="store_true", help="measure how long an image takes here")
    given = parser.parse_args(arguments)
    if not (given.images or given.self_test or given.benchmark):
        parser.error("name an image, a folder, or - for frames on standard input")
    folder, failed = Path(__file__).resolve().parent, 0
    try:
        if given.self_test:
            self_test(folder, given.runtime, given.threads)
        if given.images or given.benchmark:
            classifier = Classifier(folder, given.runtime, given.threads, given.model)
            if given.benchmark:
                benchmark(classifier)
            failed = classify(classifier, given.images, given.top, given.json)
    except Failure as failure:
        print(f"Error: {failure}", file=sys.stderr)
        return 1
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:  # whoever read the output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        sys.exit(130)
