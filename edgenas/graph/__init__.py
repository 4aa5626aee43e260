"""BlockSpecs and folded weights to a runtime's graph.

Micro-benchmarks and exported models come from the same functions, so what is timed is what is shipped. Needs no torch.
"""

from edgenas.graph.ends import PLAIN, Ends
from edgenas.graph.format import FORMATS, ModelFormat, get_format, register_format
from edgenas.graph.ncnn import build_empty_ncnn, build_ncnn
from edgenas.graph.onnx import build_empty_onnx, build_onnx
from edgenas.graph.qdq import build_int8_onnx
from edgenas.graph.tflite import build_empty_tflite, build_tflite, tflite_operators, tflite_output
from edgenas.graph.tflite_int8 import build_int8_tflite
from edgenas.graph.tflite_metadata import with_tflite_metadata
from edgenas.graph.weights import BlockWeights, random_weights, weight_shapes

__all__ = [
    "FORMATS",
    "PLAIN",
    "BlockWeights",
    "Ends",
    "ModelFormat",
    "build_empty_ncnn",
    "build_empty_onnx",
    "build_empty_tflite",
    "build_int8_onnx",
    "build_int8_tflite",
    "build_ncnn",
    "build_onnx",
    "build_tflite",
    "get_format",
    "random_weights",
    "register_format",
    "tflite_operators",
    "tflite_output",
    "weight_shapes",
    "with_tflite_metadata",
]
