"""`edgenas verify`."""

from __future__ import annotations

from pathlib import Path

import click

from edgenas.bars import track
from edgenas.cli.answering import Answering, reply
from edgenas.cli.display import answer_all, conclude
from edgenas.cli.options import PATH, SECONDS, data_option, device_names, open_run, run_argument
from edgenas.cli.show_files import show_operators, show_sustained, show_verified
from edgenas.pipeline.verify import verify_run
from edgenas.words import counted


@click.command("verify", cls=Answering)
@run_argument
@click.option("--runtime", "runtimes", multiple=True, help="In this one; may be given several times.  [default: all here]")
@click.option(
    "--device", shell_complete=device_names, help="Verify what was chosen for this device, on the device itself; with --on."
)
@click.option("--on", metavar="ssh://USER@HOST[:PORT]|adb[:SERIAL]", help="Where the device is.")
@click.option("--provision", is_flag=True, help="Copy the runtime to a device that lacks it, even without internet.")
@click.option("--binary", type=PATH, metavar="FILE", help="With adb: LiteRT's benchmark_model for the phone.")
@click.option("--images", type=int, help="Use so many test images, for a slow device.  [default: all]")
@click.option(
    "--sustained", "sustained_s", type=SECONDS, metavar="TIME",
    help="Also run each file for so long without a pause, such as 5m: the distribution, and what heat does.",
)  # fmt: skip
@click.option("--allow-emulated", is_flag=True, help="Accept a device under qemu: its outputs count, its latency does not.")
@data_option
def command(
    run: Path | None, runtimes: tuple[str, ...], device: str | None, on: str | None, provision: bool, binary: Path | None,
    images: int | None, sustained_s: float | None, allow_emulated: bool, data: str | None,
) -> None:  # fmt: skip
    """Prove each exported file in its runtimes: outputs equal to torch's, in int8 to a simulation's; accuracy on the test
    images; latency.

    \b
    edgenas verify runs/photos
    edgenas verify runs/photos --runtime onnxruntime --runtime ncnn
    edgenas verify runs/photos --device pi4 --on ssh://pi@raspberrypi.local
    edgenas verify runs/photos --device pi4 --on ssh://pi@raspberrypi.local --sustained 5m
    edgenas verify runs/photos --device android --on adb --binary benchmark_model --images 200

    Here, ONNX files run in ONNX Runtime, OpenVINO and OpenCV, TFLite files in LiteRT and tflite-runtime, ncnn's in ncnn, as far
    as these are installed; on a device, the files that were chosen for it run in the runtime that they were chosen for. Where
    outputs differ the command fails, and a file that is right in no runtime is renamed to *.rejected.
    """
    opened = open_run(run)
    verified = verify_run(
        opened,
        runtimes=runtimes,
        device=device,
        on=on,
        provision=provision,
        binary=binary,
        images=images,
        sustained_s=sustained_s,
        allow_emulated=allow_emulated,
        data=data,
        track=track,
    )
    show_verified(verified)
    show_sustained([v for _, rows in verified.results for v in rows])
    show_operators([v for _, rows in verified.results for v in rows])
    reply(verified)
    verified.require_passed()
    answer_all(verified.judgement)
    files = sum(len(verifications) for _, verifications in verified.results)
    conclude(f"{counted(files, 'file computes', 'files compute')} what they must.", "report", opened.path)
