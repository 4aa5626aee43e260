"""How Sphinx makes the site. `bash tools/docs.sh` calls it."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from docstrings import as_restructured_text, as_written
from generated import write_api_pages, write_command_pages
from sphinx.application import Sphinx

import edgenas

project = "EdgeNAS"
author = "the EdgeNAS authors"
release = version = edgenas.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
# Two hyphens are an option, not a dash.
smartquotes = False
highlight_language = "text"

default_role = "code"
autodoc_member_order = "bysource"
autodoc_default_options = {"exclude-members": "__new__"}
python_maximum_signature_line_length = 90
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = f"EdgeNAS {release}"
# What the page shows is on the page: no fonts, scripts or badges from elsewhere.
html_theme_options = {"footer_icons": [], "top_of_page_buttons": []}
html_static_path = ["static"]
html_css_files = ["console.css"]
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False


def with_links_to_papers(app: Sphinx, document: str, source: list[str]) -> None:
    source[0] = re.sub(r"\barXiv:(\d{4}\.\d{5})\b", r"[arXiv:\1](https://arxiv.org/abs/\1)", source[0])


def only_what_is_there(app: Sphinx, document: str, source: list[str]) -> None:
    """A pattern in the table of contents need not match a page."""
    if document == "index":
        folder = Path(app.srcdir)
        source[0] = re.sub(
            r"^[\w/-]+\*\n", lambda line: line[0] if list(folder.glob(f"{line[0].strip()}.md")) else "", source[0], flags=re.M
        )


def setup(app: Sphinx) -> None:
    folder = Path(app.srcdir)
    write_command_pages(folder / "commands")
    write_api_pages(folder / "api")
    app.connect("source-read", with_links_to_papers)
    app.connect("source-read", only_what_is_there)
    app.connect("autodoc-process-signature", as_written)
    app.connect("autodoc-process-docstring", as_restructured_text)
