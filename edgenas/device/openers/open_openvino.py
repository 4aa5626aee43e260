"""ONNX files in OpenVINO, on the CPU, computed in the precision that they are written in."""

import numpy as np
import openvino


class OpenVinoSession:
    def __init__(self, content, threads):
        core = openvino.Core()
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            # Where the CPU has bfloat16, it would compute in that.
            "INFERENCE_PRECISION_HINT": "f32",
            # It would move to cores of its choice for every run, and wait there for whoever is at work: up to 5 times longer.
            "ENABLE_CPU_PINNING": False,
        }
        self._request = core.compile_model(core.read_model(model=content), "CPU", settings).create_infer_request()
        entry = self._request.model_inputs[0]
        shape = [size.get_length() if size.is_static else 1 for size in entry.partial_shape]
        image = np.abs(np.random.default_rng(0).standard_normal(shape))
        self._request.set_input_tensor(openvino.Tensor(image.astype(entry.element_type.to_dtype())))

    def run(self, array):
        """The first output for an input of the model's own shape: `(batch, channels, height, width)` for images."""
        return next(iter(self._request.infer([array]).values())).copy()

    def invoke(self):
        """Run once on the input that is set: a random one at first."""
        self._request.infer()


def open_session(runtime, model, threads):
    """model: a path or the file's bytes."""
    if isinstance(model, bytes):
        return OpenVinoSession(model, threads)
    with open(model, "rb") as file:
        return OpenVinoSession(file.read(), threads)
