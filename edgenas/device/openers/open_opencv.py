"""ONNX files of float32 in OpenCV's dnn module, with the engine that it takes where none is asked for."""

import cv2
import numpy as np


class OpenCvSession:
    def __init__(self, content, threads):
        cv2.setNumThreads(threads)
        self._net = cv2.dnn.readNetFromONNX(np.frombuffer(content, np.uint8))
        self._net.setInput(random_image(*image_of(content)))

    def run(self, array):
        """The output for an input of the model's own shape: `(batch, channels, height, width)` for images."""
        self._net.setInput(array)
        return self._net.forward().copy()

    def invoke(self):
        """Run once on the input that is set: a random one at first."""
        self._net.forward()


def image_of(content):
    """The type and the shape of an ONNX file's first input, which OpenCV does not tell; sizes that may be any are 1.

    They are in the file's graph (7), input (11), type (2), tensor_type (1): its elem_type (1), and, in shape (2), the
    dim_value (1) of every dim (1). The numbers are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
    """
    for number in (7, 11, 2, 1):
        content = next(fields(content, number))
    sizes = [next(fields(dimension, 1), 1) for dimension in fields(next(fields(content, 2)), 1)]
    return {1: np.float32, 2: np.uint8}[next(fields(content, 1))], sizes


def random_image(kind, shape):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, shape, kind) if kind is np.uint8 else rng.standard_normal(shape).astype(kind)


def fields(message, wanted):
    """The values of a field of a protocol buffer, bytes or integers: see https://protobuf.dev/programming-guides/encoding"""
    at = 0

    def number():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = message[at]
            at, value, shift = at + 1, value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value

    while at < len(message):
        field, kind = divmod(number(), 8)
        if kind == 0:
            value = number()
        else:
            length = {1: 8, 5: 4}.get(kind) or number()
            value, at = message[at : at + length], at + length
        if field == wanted:
            yield value


def open_session(runtime, model, threads):
    """model: a path or the file's bytes."""
    if isinstance(model, bytes):
        return OpenCvSession(model, threads)
    with open(model, "rb") as file:
        return OpenCvSession(file.read(), threads)
