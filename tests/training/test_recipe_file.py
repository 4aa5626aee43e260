import pytest

from edgenas.errors import UsageError
from edgenas.training import read_recipe, write_recipe


def test_recipes_read_back(tmp_path):
    fields = {"learning_rate": 0.2, "batch_size": 128, "balance": True, "optimizer": "adamw"}
    write_recipe(tmp_path / "recipe.toml", fields, "found by trials\nlast week")
    assert read_recipe(tmp_path / "recipe.toml") == fields
    assert (tmp_path / "recipe.toml").read_text().startswith("# found by trials\n# last week\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batch_size = 64\n\nlearning_rat = 0.1\n", r"recipe.toml, line 3: .*learning_rat"),
        ("epochs = 5\nlearning_rate = -0.1\n", r"recipe.toml, line 2: learning_rate must be a number above 0 .*, not -0.1"),
        ("# momentum\nmomentum = 1.5\n", r"recipe.toml, line 2: momentum must be a number at least 0 and below 1, not 1.5"),
        ('batch_size = 64\noptimizer = "sdg"\n', r"recipe.toml, line 2: .*'sgd'"),
        ("learning_rate = 0.1\nbatch_size = 'many'\n", r"recipe.toml, line 2: .*batch_size must be a whole number"),
        ("[training]\nbatch_size = 64\n", r"recipe.toml, line 1: .*training"),
        ("batch_size = 64\nlearning_rate 0.1\n", r"recipe.toml is no TOML: .*line 2"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path, text, message):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_recipe(path)


def test_a_recipe_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="There is no recipe at"):
        read_recipe(tmp_path / "recipe.toml")
