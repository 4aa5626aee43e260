"""What all commands have in common: `--json`, `--quiet`, tables that fit, completion."""

from __future__ import annotations

import inspect
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from edgenas.cli import COMMANDS, main
from edgenas.cli.display import answer, conclude, say, speaking, tabulate
from edgenas.cli.show_files import show_verified
from edgenas.cli.show_report import show_classes
from edgenas.export import load_exports, load_verifications
from edgenas.metric import Metric
from edgenas.pipeline.verify import Verified
from edgenas.report import ClassRow
from edgenas.search import load_records
from tests.cli.conftest import TRAIN, edgenas
from tests.data.images import write_folder

RUN = Path("runs/digits")
LONG = "a class whose name is longer than any terminal is wide, as " + "some-folders-are-called-without-a-single-blank" * 3


@pytest.fixture
def copy(at_work, tmp_path):
    shutil.copytree(RUN, tmp_path / "copy")
    return tmp_path / "copy"


def document(*arguments) -> dict:
    """What a command answers to `--json`: all of its standard output."""
    result = edgenas(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def has(data: dict, part: dict) -> bool:
    return all(data[name] == value for name, value in part.items())


def test_every_command_can_answer_programs_and_be_quiet():
    for name, (module, _) in COMMANDS.items():
        command = main.get_command(click.Context(main), name)
        assert "reply(" in inspect.getsource(import_module(module)) or name == "predict"
        assert [p.opts for p in command.params].count(["--json"]) == 1
        assert [p.opts for p in command.params].count(["--quiet"]) == 1


def test_json_has_what_the_artefacts_have(copy):
    told = document("report", copy)
    assert has(told, json.loads((copy / "report.json").read_text()))
    assert told["page"] == str(copy / "report.html")

    verified = document("verify", copy)
    for model in verified["models"]:
        kept = json.loads((Path(model["folder"]) / "verify.json").read_text())["results"]
        assert [result | {"passed": True} for result in kept] == model["results"]

    budget = load_records(copy / "search")[1].budget_ms
    found = document("search", copy, "--latency", f"{budget}ms", "--evaluations", 0)
    (record,) = found["records"]
    (path,) = (path for path in (copy / "search").glob("*ms.json") if json.loads(path.read_text())["budget_ms"] == budget)
    assert has(json.loads(path.read_text()), record)
    assert found["outcome"]["evaluated"] == 0

    exported = document("export", copy, "--format", "onnx")
    for model in exported["models"]:
        kept = json.loads((Path(model["folder"]) / "model.json").read_text())
        assert has(model, {name: value for name, value in kept.items() if name != "version"})
        assert all(Path(file).exists() for file in model["files"])


def test_json_of_what_leaves_no_artefact(at_work, tmp_path):
    photos = write_folder(tmp_path / "photos", {"cat": 12, "dog": 70})
    (photos / "notes.txt").write_text("not a picture")
    report = document("data", photos)
    assert sum(report["counts"]["train"]) + sum(report["counts"]["validation"]) + sum(report["counts"]["test"]) == 82
    assert any("--metric balanced" in warning for warning in report["warnings"])
    names = {entry["name"]: entry for entry in document("pretrained")}
    assert names["efficientnet-lite0"]["imagenet_top1_percent"] == pytest.approx(75.5, abs=1)
    table = document("profile", "--device", "cpu")
    assert json.loads(Path(table["path"]).read_text())["provenance"] == table["provenance"]
    assert table["kind"] == "measured" and table["check"]["networks"] > 1
    trained = document("train-supernet", "--resume", RUN)
    assert trained["is_new"] is False and trained["last_epoch"]["epoch"] == 8
    assert document("add-images", RUN)["counts"] == {"train": 0, "validation": 0, "test": 0}


def test_a_failure_leaves_standard_output_empty(at_work):
    result = edgenas("search", RUN, "--latency", "0.000001ms", "--json")
    assert result.exit_code == 1 and result.stdout == "" and "Error: " in result.stderr


def test_quiet_leaves_the_answer_and_errors(at_work, copy):
    command = ["verify", copy, "--runtime", "onnxruntime", "--images", 10]
    loud, quiet = edgenas(*command), edgenas(*command, "--quiet")
    assert quiet.exit_code == 0 and quiet.stderr == ""
    assert "measured ms" in quiet.stdout and "Next: edgenas report" in quiet.stdout
    assert loud.stdout.count("\n") == quiet.stdout.count("\n")
    both = edgenas("report", copy, "--quiet", "--json")
    assert json.loads(both.stdout) and both.stderr == ""
    refused = edgenas("search", RUN, "--latency", "0.000001ms", "--quiet")
    assert refused.exit_code == 1 and refused.stderr.startswith("Error: ")


def test_how_a_command_speaks_ends_with_it(capsys):
    with speaking(as_json=True, quiet=True):
        say("on the way")
        answer("the answer")
    assert capsys.readouterr() == ("", "")
    with speaking(as_json=True, quiet=False):
        answer("the answer")
    assert capsys.readouterr() == ("", "the answer\n")
    say("on the way")
    answer("the answer")
    assert capsys.readouterr() == ("the answer\n", "on the way\n")


def fits(text: str, width: int = 80) -> bool:
    """Whether every line does, but for those that are to be pasted."""
    wide = [line for line in text.splitlines() if len(line) > width and "edgenas " not in line and "/" not in line]
    assert not wide, wide
    return True


@pytest.fixture
def narrow(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def test_every_table_fits_80_columns(at_work, copy, tmp_path, narrow):
    names = {LONG: 12, "dog": 70}
    budgets = [part for record in load_records(copy / "search") for part in ("--latency", f"{record.budget_ms}ms")]
    for command in (
        ["data", write_folder(tmp_path / "photos", names)],
        ["pretrained"],
        ["profile", "--device", "cpu"],
        ["search", copy, *budgets, "--evaluations", 0],
        ["verify", copy, "--images", 10],
        ["baseline", copy, "--network", "lenet", "--epochs", 1],
        ["report", copy],
    ):
        result = edgenas(*command)
        assert result.exit_code == 0, result.output
        assert fits(result.stdout), command


def test_long_names_are_wrapped_and_whole(narrow, capsys):
    show_classes([ClassRow("1f", "model.onnx", "onnxruntime", LONG, 5, 0.5, 0.5, LONG)])
    output = capsys.readouterr().out
    assert fits(output)
    first = "".join(line[:30].strip() for line in output.splitlines())
    assert LONG.rpartition("-")[2] in first or "blank" in output


def test_what_does_not_fit_goes_on_beneath(capsys, monkeypatch):
    columns = ["<row", *(f"column{i}" for i in range(10))]
    rows = [[f"row{r}", *(f"{r}.{i:06}" for i in range(10))] for r in range(2)]
    for width, parts in (("200", 1), ("80", 2), ("40", 4), ("10", 10)):
        monkeypatch.setenv("COLUMNS", width)
        tabulate("Title", columns, rows)
        output = capsys.readouterr().out
        assert all(len(line) <= max(int(width), 14) for line in output.splitlines())
        if width != "10":
            assert output.count("row0") == parts
            assert all(cell in output for row in rows for cell in row)


def test_what_is_to_be_pasted_is_not_wrapped(narrow, capsys):
    conclude("x" * 50 + " is done.", "report", "runs/" + "y z" * 30)
    conclude("word " * 40)
    pasted, *wrapped = capsys.readouterr().out.splitlines()
    assert pasted.endswith(f"Next: edgenas report 'runs/{'y z' * 30}'")
    assert len(wrapped) == 3


def test_verified_files_in_all_runtimes_fit(at_work, narrow, capsys):
    model = load_exports(RUN / "export")[0]
    verified = load_verifications(model.folder)
    rounded = [replace(v, file="model-int8.tflite", simulated_accuracy=0.5, float_agreement=0.9) for v in verified]
    show_verified(Verified(((model, (*verified, *rounded)),), (), Metric.named("macro-f1", model.classes)))
    output = capsys.readouterr().out
    assert fits(output) and "top-1 as float" in re.sub(r"\s+", " ", output) and f"{model.architecture.id}/model.onnx" in output


def in_a_terminal(*arguments: str, **environment: str) -> str:
    """What a command prints there."""
    ours, its = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "edgenas", *arguments], stdout=its, stderr=its, env=os.environ | environment
    ) as process:
        os.close(its)
        read = b""
        try:
            while part := os.read(ours, 4096):
                read += part
        except OSError:  # its end
            pass
    os.close(ours)
    assert process.returncode == 0, read
    return read.decode()


def test_a_terminal_without_colours_gets_none(tmp_path):
    photos = str(write_folder(tmp_path / "photos", {"cat": 30, "dog": 30}))
    colour = re.compile(r"\x1b\[[0-9;]*(3[0-7]|38|9[0-7])[;m]")
    shown = in_a_terminal("data", photos, NO_COLOR="1", TERM="xterm-256color", COLUMNS="80")
    assert not colour.search(shown)
    assert "\x1b" not in in_a_terminal("data", photos, TERM="dumb", COLUMNS="80")
    assert fits(re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown).replace("\r", "\n"))


def completions(*words: str, incomplete: str) -> list[str]:
    return [
        item.value for item in ShellComplete(main, {}, "edgenas", "_EDGENAS_COMPLETE").get_completions(list(words), incomplete)
    ]


def test_a_shell_completes(at_work):
    assert completions(incomplete="pr") == ["pretrained", "profile", "predict"]
    assert completions("search", "runs/x", incomplete="--lat") == ["--latency"]
    assert {"cpu", "pi4", "mobile-gpu"} <= set(completions("search", "runs/x", "--device", incomplete=""))
    assert completions("profile", "--precision", incomplete="in") == ["int8"]
    for line, expected in (("edgenas do", "doctor"), ("edgenas ", "data")):
        told = subprocess.run(
            [sys.executable, "-c", "from edgenas.cli import main; main(prog_name='edgenas')"], capture_output=True, text=True,
            env=os.environ | {"_EDGENAS_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": "1"},
        )  # fmt: skip
        assert f"plain,{expected}" in told.stdout


def test_long_work_ends_with_what_to_do_next(at_work):
    for command, step in (("search", "finetune"), ("export", "verify"), ("verify", "report")):
        lines = [line for line in (at_work / f"{command}.txt").read_text().splitlines() if "Next: " in line]
        assert len(lines) == 1 and lines[0].endswith(f"Next: edgenas {step} runs/digits")
    assert "open it in a browser" in (at_work / "report.txt").read_text()


def test_training_ends_with_what_to_do_next(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = edgenas(
        "train-supernet", "--data", "digits", *TRAIN, "--epochs", 1, "--batch-size", 256, "--out", "a run", "--json"
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["last_epoch"]["epoch"] == 1
    assert "Trained: a run. Next: edgenas profile --device cpu --run 'a run'" in result.stderr
