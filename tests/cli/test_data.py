"""`edgenas data`."""

from click.testing import CliRunner

from edgenas.cli import main
from tests.data.images import write_folder


def test_the_report_of_a_folder(tmp_path):
    photos = write_folder(tmp_path / "photos", {"wine [red]": 12, "wine [white]": 70})
    (photos / "notes.txt").write_text("not a picture")
    result = CliRunner().invoke(main, ["data", str(photos)])
    assert result.exit_code == 0, result.output
    assert "wine [red]" in result.output and "wine [white]" in result.output
    assert "82 images in 2 classes" in result.output
    assert "--balance" in result.output and "--fit" not in result.output


def test_a_folder_that_is_not_there():
    result = CliRunner().invoke(main, ["data", "nowhere/"])
    assert result.exit_code == 2 and "nowhere" in result.output and "Traceback" not in result.output
