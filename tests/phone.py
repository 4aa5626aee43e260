"""A phone for tests: a stand-in for adb, and a program that prints what LiteRT's benchmark_model prints, and runs models."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ADB = """#!/bin/sh
echo "$*" >>{root}/log
test "$1" != -s || {{ test "$2" = R58 || {{ echo "adb: device '$2' not found" >&2; exit 1; }}; shift 2; }}
here() {{ echo "$1" | sed 's,/data/local/tmp,{root}/phone,g'; }}
verb=$1; shift
case $verb in
  push) while test $# -gt 1; do cp "$1" "$(here "$(eval echo \\${{$#}})")" || exit 1; shift; done ;;
  pull) cp "$(here "$1")" "$2" ;;
  shell) PATH={root}/bin:$PATH sh -c "$(here "$*")" >{root}/said; status=$?
         sed 's,{root}/phone,/data/local/tmp,g' {root}/said; exit $status ;;
esac
"""

PROGRAM = """#!/bin/sh
partly=
for word in "$@"; do case $word in
  --graph=*) graph=${word#--graph=} ;;
  --use_gpu=true) delegate=GPU kernel=TfLiteGpuDelegateV2 ;;
  --use_nnapi=true) delegate=NNAPI kernel=TfLiteNnapiDelegate ;;
  --use_xnnpack=false) plain=yes ;;
  --enable_op_profiling=true) profiled=yes ;;
  --input_layer_value_files=image:*) taken=${word#*:} ;;
  --output_filepath=*) given=${word#*=} ;;
esac; done
test -f "$graph" || { echo "ERROR: Could not open '$graph'."; echo "ERROR: Benchmarking failed."; exit 1; }
us=$(( 100 + $(wc -c <"$graph") / 10 ))

row() { printf '\\t%40s\\t%9d\\t%10.3f\\t%10.3f%%\\t%10.3f%%\\t%10.3f\\t%9d\\n' "$1" "$2" "$3" "$4" 100 0 "$2"; }
line() { printf '\\t%40s\\t%9.3f\\t%9.3f\\t%7.3f%%\\t%7.3f%%\\t%10.3f\\t%9d\\t%s\\n' "$1" 9 "$2" 50 100 0 1 "$3"; }
title() { echo "============================== $1 =============================="; }
operators() { # ROWS, LINES: functions
  title "Run Order"
  printf '\\t%40s\\t%9s\\t%9s\\t%8s\\t%8s\\t%10s\\t%9s\\t%s\\n' '[node type]' '[first]' '[avg ms]' '[%]' '[cdf%]' '[mem KB]' \\
    '[times called]' '[Name]'
  $2; echo
  title "Top by Computation Time"; echo
  echo "Number of nodes executed: 2"
  title "Summary by node type"
  printf '\\t%40s\\t%9s\\t%10s\\t%11s\\t%11s\\t%10s\\t%10s\\n' '[Node type]' '[count]' '[avg ms]' '[avg %]' '[cdf %]' \\
    '[mem KB]' '[times called]'
  $1; echo
  echo "Timings (microseconds): count=10 first=$us curr=$us min=$us max=$us avg=$us std=0 p5=$us median=$us p95=$us"
  echo "Memory (bytes): count=0"
  echo "2 nodes observed"
  echo; echo
}
at_first() { row ModifyGraphWithDelegate 1 50.5 90; row AllocateTensors 2 5.5 10; }
at_first_lines() { line ModifyGraphWithDelegate 50.5 ModifyGraphWithDelegate/0; line AllocateTensors 5.5 AllocateTensors/0; }
xnnpack() { row 'Convolution (NHWC, F32) GEMM' 5 0.75 75; row 'Convolution (NHWC, F32) DWConv' 3 0.25 25; }
own() { row CONV_2D 1 0.5 50; row MEAN 2 0.5 50; }
computed() {
  test -z "$delegate" || row "$kernel" 2 3.5 90
  test -n "$delegate" && test -z "$partly" || { test -n "$plain" && own || xnnpack; }
}
computed_lines() { line "${kernel:-CONV_2D}" 3.5 '[block0.conv, scores]:7'; }

echo "INFO: STARTING!"
echo "INFO: Log parameter values verbosely: [0]"
echo "INFO: Graph: [$graph]"
echo "INFO: Loaded model $graph"
whole="and the model graph will be completely executed by the delegate."
test -z "$partly" || whole="and the model graph will be partially executed by the delegate w/ 2 delegate kernels."
test "$delegate$partly" != GPUyes || {
  echo "ERROR: Following operations are not supported by GPU delegate:"
  echo "MEAN: OP is supported, but tensor type/shape isn't compatible."
  echo "5 operations will run on the GPU, and the remaining 3 operations will run on the CPU."
} >&2
test -z "$delegate" || echo "INFO: Explicitly applied $delegate delegate, $whole"
echo "INFO: Initialized session in 1.5ms."
echo "INFO: count=3 first=99999 curr=99999 min=99999 max=99999 avg=99999 std=0"
echo
echo "INFO: count=10 first=$((us + 9)) curr=$((us + 2)) min=$us max=$((us + 9)) avg=$us.5 std=3 p5=$us median=$us p95=$us"
echo
echo "INFO: Inference timings in us: Init: 1500, First inference: 99999, Warmup (avg): 99999, Inference (avg): $us.5"
echo "INFO: Memory footprint delta from the start of the tool (MB): init=1.5 overall=2.5"
test -z "$given" || PYTHON - "$graph" "$taken" "$given" <<'END'
import sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(sys.argv[1], num_threads=1)
interpreter.allocate_tensors()
(image,), (output,) = interpreter.get_input_details(), interpreter.get_output_details()
interpreter.set_tensor(image["index"], np.fromfile(sys.argv[2], image["dtype"]).reshape(image["shape"]))
interpreter.invoke()
interpreter.get_tensor(output["index"]).tofile(sys.argv[3])
END
test -z "$profiled" || {
  echo "INFO: Profiling Info for Benchmark Initialization:"
  operators at_first at_first_lines
  echo "INFO: Operator-wise Profiling Info for Regular Benchmark Runs:"
  operators computed computed_lines
}
"""
PARTLY = "partly=\n", "partly=yes\n"
"""What makes it one whose delegates leave operators to the CPU."""

GETPROP = """case $1 in
  ro.product.manufacturer) echo Acme ;; ro.product.model) echo "Phone 4" ;; ro.soc.model) echo SM8150 ;;
  ro.build.version.release) echo 14 ;; esac
"""


@pytest.fixture
def binary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program on this machine; there is a phone, whose folder is `phone`; adb notes in `log` what it is told."""
    (tmp_path / "phone").mkdir()
    (tmp_path / "bin").mkdir()
    program = PROGRAM.replace("PYTHON", sys.executable)
    for name, text in (("bin/getprop", f"#!/bin/sh\n{GETPROP}"), ("bin/uname", "#!/bin/sh\necho aarch64\n"),
                       ("bin/grep", "#!/bin/sh\necho 8  # processors\n"),
                       ("adb", ADB.format(root=tmp_path)), ("benchmark_model", program)):  # fmt: skip
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "benchmark_model").chmod(0o644)  # as it was downloaded
    return tmp_path / "benchmark_model"
