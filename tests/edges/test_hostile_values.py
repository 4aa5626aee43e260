"""What no option can mean: one sentence, exit status 2, no traceback, nothing made, and at once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import edgenas
from tests.edges.conftest import bounded, content

RUN = "runs/old"
FILE = f"{RUN}/config.toml"
"""Where a folder is asked for, or another kind of file."""

HUGE = "9" * 5000
NO_NUMBER = ["", "nan", "inf", "-inf", "1e400", "one", "0x10", "1,5"]
WHOLE = [*NO_NUMBER, "-1", "1.5", HUGE, "-" + HUGE]
COUNT = [*WHOLE, "0", str(2**63), str(10**9)]
SEED = [*WHOLE, str(2**63), str(-(2**63) - 1), str(2**200)]
POSITIVE = [*NO_NUMBER, "-1", "0", "-0.0", "1e308", HUGE]
TIME = [*NO_NUMBER, "-1s", "0s", "5", "1e400s", "nans", "infm", f"{HUGE}h", "1d"]
LATENCY = [*NO_NUMBER, "-1ms", "0ms", "5", "1e400ms", f"{HUGE}ms", "cpu=nan", "=2ms", "cpu=", "cpu=-1ms", "a\0b=1ms",
           f"{HUGE}=1ms"]  # fmt: skip
AMOUNT = [*NO_NUMBER, "-1", "0", f"{HUGE}", f"{HUGE}MB"]
SIZES = [*WHOLE, "0", "7", "1000000", "12,", ",", "12;16", "12,1000000", ",".join(map(str, range(8, 20008))), HUGE + ",12"]
NAMES = ["", "a\0b", "x" * 5000, "../../etc/passwd", "[red]", "\n", "~nosuchuser", "x\ud800"]
NO_PATH = ["a\0b", "x" * 5000, "x/" * 3000, "/dev/null/x", "~nosuchuser/x"]
OUT_FOLDER = [*NO_PATH, "/dev/null", FILE, f"{FILE}/x", "/proc/x", "/nowhere\0"]
OUT_FILE = [*NO_PATH, RUN, f"{FILE}/x", "/proc/x"]
GIVEN_FILE = [*NO_PATH, RUN, "/dev/null", "nowhere"]
NO_RECIPE = [*NO_PATH, RUN, "nowhere"]
GIVEN_RUN = [*NO_PATH, "/dev/null", FILE, "nowhere", "runs"]
IMAGES = [*NO_PATH, "/dev/null", FILE, "~nosuchuser", "nowhere", "x{9..1}.tar", "x{000..999999999}.tar",
          "{0..9}" * 12 + ".tar"]  # fmt: skip
URL = ["://", "sqlite:////nowhere/x.db", "nosuch://x", "postgresql://[::1", "x" * 5000, "a\0b", "sqlite:///a\0b", RUN]
ADDRESS = ["", "ssh://", "ssh://[::1", "ssh://pi:port", "ssh://pi:99999", "ssh://pi/path", "pi", "browser:usb", "a\0b",
           "ssh://a\0b", "ssh://-oProxyCommand=x", "x" * 5000, "ssh://" + "x" * 5000]  # fmt: skip
SETTINGS = [
    "", "=", "epochs", "epochs=", "nothing=1", "epochs=-1", "epochs=1e400", "epochs=[1]", "epochs=99999999999", "seed=-1",
    "seed=9223372036854775808", "batch_size=0", "batch_size=-8", "batch_size=1e18", "learning_rate=0", "learning_rate=-1",
    "learning_rate=1e308", "learning_rate=nan", "learning_rate=inf", "weight_decay=-1", "weight_decay=nan", "weight_decay=inf",
    "classifier_rate=inf", "momentum=1", "momentum=nan", "momentum=-1", "label_smoothing=nan", "warmup=2", "largest_alone=nan",
    "largest_share=nan", "random_subnets=-1", "random_subnets=1e9", "random_subnets=1000000", "subnet_weight=-1",
    "subnet_weight=nan", "subnet_weight=inf", "ema=1", "ema=nan", "macs=[1e400]", "macs=[-1]", "macs=[nan]", "macs=5",
    "macs=[[]]", "dropout=nan", "dropout=1", "batch_norm_momentum=nan", "batch_norm_momentum=0", "randaugment=11",
    "randaugment=nan", "cutout=nan", "cutout=2", "mixup=nan", "mixup=-1", "mixup=inf", "cutmix=1e308",
    "random_resized_crop=nan", "balance=2", "scheme=none", "optimizer=none", "precision=int3", "initialisation=none",
    "teacher=a\0b", "a" * 5000 + "=1", "epochs=" + "[" * 3000, "macs=" + "[" * 100000,
]  # fmt: skip

TRAIN = ["train-supernet", "--data", "digits", "--space", "mobilenetv3", "--preset", "tiny", "--out", "runs/new"]
TUNE = ["tune", "--data", "digits", "--preset", "tiny", "--out", "runs/new", "--trials", "1", "--epochs", "1"]
PROFILE = ["profile", "--space", "mobilenetv3", "--preset", "tiny", "--bundle", "new.zip"]
SEARCH = ["search", RUN, "--latency", "1ms", "--evaluations", "10"]
FINETUNE = ["finetune", RUN]
QUICK = ["quickstart", "--out", "runs/new"]

OPTIONS: list[tuple[list[str], str, list[str]]] = [
    (TRAIN, "--data", IMAGES),
    (TRAIN, "--space", [*NAMES, "nowhere.toml", "/dev/null", f"{RUN}/metrics.jsonl", "a\0b.toml", "x" * 5000 + ".toml"]),
    (TRAIN, "--preset", NAMES),
    (TRAIN, "--width", [*POSITIVE, "1000000"]),
    (TRAIN, "--resolutions", SIZES),
    (TRAIN, "--out", OUT_FOLDER),
    (TRAIN, "--warm-start", GIVEN_RUN),
    (TRAIN, "--pretrained", [*NAMES, *GIVEN_FILE, "efficientnet-lite0=", "=", "efficientnet-lite0=nowhere"]),
    (TRAIN, "--time", TIME),
    (TRAIN, "--epochs", [value for value in COUNT if value != "0"]),
    (TRAIN, "--batch-size", [*COUNT, "1"]),
    (TRAIN, "--learning-rate", POSITIVE),
    (TRAIN, "--macs", [*(value for value in AMOUNT if value != "1,5"), "5M,", ",", "5M,nan"]),
    (TRAIN, "--teacher", GIVEN_FILE),
    (TRAIN, "--ema", [*(value for value in POSITIVE if value not in ("0", "-0.0")), "1"]),
    (TRAIN, "--recipe", NO_RECIPE),
    (TRAIN, "--set", SETTINGS),
    (TRAIN, "--seed", SEED),
    (["train-supernet"], "--resume", GIVEN_RUN),
    (TUNE, "--data", IMAGES),
    (TUNE, "--width", POSITIVE),
    (TUNE, "--resolutions", SIZES),
    (TUNE, "--seed", SEED),
    (TUNE, "--out", OUT_FOLDER),
    (TUNE, "--time", TIME),
    (TUNE, "--trials", COUNT),
    (TUNE, "--epochs", COUNT),
    (TUNE, "--sampler", NAMES),
    (TUNE, "--recipe", NO_RECIPE),
    (TUNE, "--storage", URL),
    (PROFILE, "--device", NAMES),
    (PROFILE[:-2], "--on", ADDRESS),
    (PROFILE, "--bundle", OUT_FILE),
    (PROFILE[:-2], "--from", GIVEN_FILE),
    (PROFILE[:-2], "--prior", GIVEN_FILE),
    (["profile"], "--run", GIVEN_RUN),
    (PROFILE, "--width", POSITIVE),
    (PROFILE, "--resolutions", SIZES),
    (PROFILE, "--classes", [*COUNT, "1"]),
    (PROFILE, "--runtime", NAMES),
    (PROFILE, "--threads", [*COUNT, "100000"]),
    (PROFILE, "--time", TIME),
    (["search"], "--latency", LATENCY),
    (SEARCH, "--device", NAMES),
    (SEARCH, "--confidence", ["nan", "inf", "-1", "1", "2", "", "one", "1e400", HUGE]),
    (SEARCH, "--memory", AMOUNT),
    (SEARCH, "--macs", AMOUNT),
    (SEARCH, "--parameters", AMOUNT),
    (SEARCH, "--runtime", NAMES),
    (SEARCH, "--strategy", [*NAMES, "optuna:", "optuna:nosuch", "optuna:__init__"]),
    (SEARCH, "--evaluations", [*WHOLE, str(2**63), str(10**9)]),
    (SEARCH, "--time", TIME),
    (SEARCH, "--storage", URL),
    (SEARCH, "--seed", SEED),
    (SEARCH, "--data", IMAGES),
    (FINETUNE, "--epochs", COUNT),
    (FINETUNE, "--time", TIME),
    (FINETUNE, "--learning-rate", POSITIVE),
    (FINETUNE, "--architecture", NAMES),
    (FINETUNE, "--seed", SEED),
    (["export", RUN], "--architecture", NAMES),
    (["export", RUN], "--data", IMAGES),
    (["verify", RUN], "--images", [*WHOLE, "0", str(2**63)]),
    (["verify", RUN, "--on", "ssh://nowhere.invalid"], "--device", NAMES),
    (["verify", RUN, "--device", "pi4"], "--on", ADDRESS),
    (["baseline", RUN], "--network", NAMES),
    (["baseline", RUN], "--resolutions", SIZES),
    (["baseline", RUN], "--time", TIME),
    (["baseline", RUN], "--epochs", COUNT),
    (["baseline", RUN], "--model", GIVEN_FILE),
    (QUICK, "--photos", IMAGES[:-3]),
    (QUICK, "--out", OUT_FOLDER),
    (QUICK, "--time", TIME),
    (QUICK, "--seed", SEED),
    *(([command], "", GIVEN_RUN) for command in ("export", "verify", "report", "finetune", "baseline")),
]
CASES = [(command, option, value) for command, option, values in OPTIONS for value in values]


def name(value: object) -> str:
    text = value[0] if isinstance(value, list) else str(value)
    return ascii(text if len(text) <= 24 else f"{text[:20]}...{len(text)}")[1:-1]


WORLD = ("--storage", "--from", "--prior", "")
"""Options that name what is somewhere else, whose state may be wrong, too: exit status 1."""


@pytest.fixture
def working_folder(old_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(old_workspace)
    before = content(old_workspace)
    yield old_workspace
    after = content(old_workspace)
    for name in after.keys() - before.keys():  # so that what one case made does not help the next
        path = old_workspace / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    assert after == before


@pytest.mark.parametrize(("command", "option", "value"), CASES, ids=name)
def test_is_refused(working_folder: Path, command: list[str], option: str, value: str) -> None:
    with bounded():
        result = edgenas(*command, *([option, value] if option else [value]))
    assert isinstance(result.exception, SystemExit), repr(result.exception)[:500]
    assert result.exit_code == 2 or (result.exit_code == 1 and option in WORLD), result.output[-500:]
    errors = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, result.output[-500:]
    assert len(errors[0]) < 1200 + len(value)
