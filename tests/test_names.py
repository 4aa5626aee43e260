"""Bytes become text, text becomes comparable and printable; text files are UTF-8 whatever the locale."""

import os
import subprocess
import sys
import tomllib
import unicodedata

import pytest

from edgenas import names
from edgenas.files import read_text, write_toml

ASCII_LOCALE = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


def test_what_is_no_utf_8_keeps_its_bytes_visibly():
    assert names.of_bytes("café".encode()) == "café"
    assert names.of_bytes(b"caf\xe9") == r"caf\xe9"
    assert names.of_file(os.fsdecode(b"caf\xe9/a.jpg")) == r"caf\xe9/a.jpg"
    assert names.storable({"a": ["caf\udce9", 1, ("\ud800",)]}) == {"a": [r"caf\xe9", 1, (r"\ud800",)]}


def test_a_name_finds_its_file_in_every_locale(tmp_path):
    (tmp_path / "café 🐸").write_bytes(b"")
    code = (
        "import os, sys; from edgenas import names; (name,) = os.listdir(os.environ['FOLDER'])\n"
        "assert not sys.flags.utf8_mode; text = names.of_file(name); assert text == 'caf\\xe9 \\U0001f438', ascii(text)\n"
        "assert names.to_file(text) == name and names.of_file(text) == text\n"
        "assert os.path.exists(os.path.join(os.environ['FOLDER'], names.to_file(text)))"
    )
    for locale in (ASCII_LOCALE, {"LC_ALL": "C.UTF-8"}):
        subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | locale | {"FOLDER": str(tmp_path)})


def test_names_that_look_alike_are_alike():
    assert names.of_class(unicodedata.normalize("NFD", "café")) == unicodedata.normalize("NFC", "café")


def test_names_obey_no_terminal():
    assert names.printable("a\nb\tc\x1b[31m [red] 🐸 \udce9") == r"a\nb\tc\x1b[31m [red] 🐸 \udce9"
    assert names.some(["[b]", "c", "d", "e"], 2) == "'[b]', 'c' and 2 more"


RECIPE = 'epochs = 1\nname = "é"\n'


@pytest.mark.parametrize(
    "content",
    [RECIPE.encode(), RECIPE.replace("\n", "\r\n").encode("utf-8-sig"), RECIPE.encode("utf-16")],
    ids=["UTF-8", "BOM", "UTF-16"],
)
def test_text_is_read_as_editors_write_it(tmp_path, content):
    (tmp_path / "a.toml").write_bytes(content)
    assert read_text(tmp_path / "a.toml") == RECIPE


def test_text_in_no_known_encoding_is_an_error_of_values(tmp_path):
    (tmp_path / "a.toml").write_bytes(RECIPE.encode("latin-1"))
    with pytest.raises(ValueError, match="utf-8"):
        read_text(tmp_path / "a.toml")


def test_toml_takes_undecodable_names(tmp_path):
    write_toml(tmp_path / "a.toml", {"source": "/photos/caf\udce9", "classes": ["é"]}, "two\nlines")
    assert read_text(tmp_path / "a.toml").startswith("# two\n# lines\n")
    assert tomllib.loads(read_text(tmp_path / "a.toml")) == {"source": r"/photos/caf\xe9", "classes": ["é"]}


@pytest.mark.parametrize(
    "name", ["runs/photos", "runs/my photos", "it's", "-x", "~/a", "a=b,c", "$(id)", "a`b", "ein Über", "a*", "#a"]
)
def test_a_path_in_a_command_survives_the_shell(name):
    echoed = subprocess.run(["sh", "-c", f"printf %s {names.pasted(name)}"], capture_output=True, check=True).stdout
    assert echoed.decode() in (name, f"./{name}")
    assert names.pasted("runs/photos") == "runs/photos"
