"""Models in ncnn, computed in float32."""

import os
import re
import tempfile

import ncnn
import numpy as np

HALVES = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_packed", "use_bf16_storage")
"""What lets it keep and add numbers of half the bits, as on ARM it does unless told otherwise."""


class NcnnSession:
    def __init__(self, content, threads):
        """content: the text of the .param file, a zero byte, and the content of the .bin file."""
        text, _, weights = content.partition(b"\0")
        text = text.decode(errors="replace")
        self._net = ncnn.Net()
        self._net.opt.num_threads = threads
        for name in HALVES:
            if hasattr(self._net.opt, name):
                setattr(self._net.opt, name, False)
        with tempfile.TemporaryDirectory() as folder:  # it takes weights from files alone
            path = os.path.join(folder, "model.bin")
            with open(path, "wb") as file:
                file.write(weights)
            if self._net.load_param_mem(text) or self._net.load_model(path):
                raise RuntimeError("ncnn cannot read the model")
        ((width, height, channels),) = re.findall(r"^Input .* 0=(\d+) 1=(\d+) 2=(\d+)$", text, re.MULTILINE)
        self._image = _matrix(
            np.random.default_rng(0).standard_normal((int(channels), int(height), int(width))).astype(np.float32)
        )

    def run(self, array):
        """The output for one image, `(1, channels, height, width)`: `(1, ...)`."""
        self._image = _matrix(array[0])
        return np.array(self.invoke())[None]

    def invoke(self):
        """Run once on the input that is set, a random one at first: the output, in ncnn's own form."""
        extractor = self._net.create_extractor()
        extractor.input("image", self._image)
        failed, output = extractor.extract("output")
        if failed:
            raise RuntimeError("ncnn cannot compute the model")
        return output


def _matrix(array):
    """Numbers as float32, which it computes with, in memory of ncnn's own, aligned as its kernels need it."""
    floats = np.ascontiguousarray(array, np.float32)  # of which ncnn.Mat keeps no reference: a name does, until it is copied
    return ncnn.Mat(floats).clone()


def open_session(runtime, model, threads):
    """model: a path or bytes."""
    if isinstance(model, bytes):
        return NcnnSession(model, threads)
    with open(model, "rb") as file:
        return NcnnSession(file.read(), threads)
