"""A bundle on a device: copied there, tested there, timed there, and run there by systemd where that is wanted.

All of it is in one folder of the user's home, `FOLDER`/NAME, and a unit of systemd, both of which `remove` takes away. Nothing
needs root.

    ~/edgenas/cat/
      predict.py, model.onnx, ...   what the bundle has
      packages/                     numpy, Pillow and the runtime, where the device's Python lacks one of them
      classify                      runs predict.py with these packages
      serve                         what the service runs
    ~/.config/systemd/user/edgenas-cat.service
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgenas.deployment.predict import OWN_FILE, RUNTIMES, runtimes_for
from edgenas.device import Shell, get_runtime
from edgenas.device.provision import download_packages
from edgenas.errors import EdgeNASError
from edgenas.files import scratch
from edgenas.progress import Track, quiet
from edgenas.values import Matches

FOLDER, UNITS = "edgenas", ".config/systemd/user"
NAMED = Matches(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", "of letters, digits and any of _ . -, a letter or digit first")
"""What a network is called on a device: it becomes part of paths and of a unit's name."""

_CLASSIFY = """#!/bin/sh
# Classifies images: ./classify photo.jpg; ./classify --help
here=$(cd "$(dirname "$0")" && pwd)
PYTHONPATH="$here/packages" exec python3 "$here/predict.py" --runtime {runtime} "$@"
"""
_SERVE = """#!/bin/sh
# Frames of a camera, as JPEG files one after the other, to one line of JSON for each.
{source} | "$(dirname "$0")/classify" - --json
"""
_UNIT = """[Unit]
Description=EdgeNAS {name}: classifies the frames of a camera

[Service]
ExecStart=/bin/sh %h/{folder}/{name}/serve
Restart=on-failure

[Install]
WantedBy=default.target
"""
_START = """
command -v systemctl >/dev/null && systemctl --user show-environment >/dev/null 2>&1 || {{
  echo "it has no systemd for users: start ~/{folder}/{name}/serve by what it has instead" >&2; exit 1; }}
mkdir -p ~/{units} && mv ~/{folder}/{name}/unit ~/{units}/edgenas-{name}.service &&
systemctl --user daemon-reload && systemctl --user enable --quiet edgenas-{name}.service &&
systemctl --user restart edgenas-{name}.service
"""
_REMOVE = """
found=
if test -e ~/{units}/edgenas-{name}.service; then
  systemctl --user disable --quiet --now edgenas-{name}.service
  rm -f ~/{units}/edgenas-{name}.service
  systemctl --user daemon-reload
  found=yes
fi
test -d ~/{folder}/{name} && found=yes
rm -rf ~/{folder}/{name} ~/{folder}/{name}.part
rmdir ~/{folder} 2>/dev/null
echo $found
"""


@dataclass(frozen=True)
class Installed:
    """folder: on the device. tested, timed: what the self-test and the benchmark printed there. service: of systemd, or ''."""

    folder: str
    runtime: str
    tested: str
    timed: str
    service: str = ""


def install(
    shell: Shell, bundle: Path, name: str, *, runtime: str | None = None, source: str = "", track: Track = quiet
) -> Installed:
    """Bring an unpacked bundle to a device, in place of what has this name there.

    runtime: one of `RUNTIMES`; by default the first that has a file in the bundle and wheels for the device.
    source: a command there that writes JPEG frames; systemd is then to run it, and to classify its frames.

    Raises EdgeNASError, and leaves nothing there, where the device does not compute what the bundle's self-test asks for.
    """
    folder = f"~/{FOLDER}/{name}"
    runtime = runtime or _runtime_for(shell, bundle)
    steps = iter(track(("copying", "testing", "timing"), f"Deploying {name}"))
    next(steps)
    with scratch("deploy") as temporary:
        _write_program(temporary / "classify", _CLASSIFY.format(runtime=runtime))
        if source:
            _write_program(temporary / "serve", _SERVE.format(source=source))
            (temporary / "unit").write_text(_UNIT.format(name=name, folder=FOLDER), encoding="utf-8")
        if shell.cannot_import(_modules(runtime)):
            (temporary / "packages").mkdir()
            images = ["pillow"] if shell.cannot_import(["PIL"]) else []
            download_packages(temporary / "packages", get_runtime(runtime).package, shell.python, *images)
        shell.unpack(folder, bundle, temporary)
    try:
        next(steps)
        tested = shell.run(f"{folder}/classify --self-test")
        next(steps)
        timed = shell.run(f"{folder}/classify --benchmark")
        if source:
            shell.run(_START.format(name=name, folder=FOLDER, units=UNITS))
    except BaseException:
        remove(shell, name)
        raise
    next(steps, None)
    return Installed(folder, runtime, tested.strip(), timed.strip(), f"edgenas-{name}.service" if source else "")


def remove(shell: Shell, name: str) -> bool:
    """Take what has this name away from a device. Returns whether there was any of it."""
    return shell.run(_REMOVE.format(name=name, folder=FOLDER, units=UNITS)).strip() == "yes"


def _modules(runtime: str) -> tuple[str, ...]:
    return "numpy", "PIL", RUNTIMES[runtime][1]


def _runtime_for(shell: Shell, bundle: Path) -> str:
    known = [name for name in runtimes_for(bundle) if name not in OWN_FILE or (bundle / f"open_{name}.py").exists()]
    there = [name for name in known if list(bundle.glob(f"model*{RUNTIMES[name][0]}"))]
    usable = [name for name in there if shell.python.has_wheels_of(name)]
    if not usable:
        raise EdgeNASError(
            f"The device's Python is one of {shell.python.machine}, for which there are no wheels of {' or '.join(there)}: "
            "export a TFLite file, too."
        )
    return usable[0]


def _write_program(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
