"""A figure of matplotlib as SVG within a page: in the page's font, and in its colours for dark and light."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


COLOURS = {
    "#000000": "currentColor",
    "#ffffff": "var(--page)",
    "#4c4c4c": "var(--soft)",  # marks and what they say
    "#666666": "var(--soft)",
    "#b0b0b0": "var(--line)",  # the grid
}
"""Of a figure, and what they become."""


def as_svg(figure: Figure, name: str, description: str) -> str:
    """name: unique on the page. description: for who cannot see it."""
    import matplotlib

    figure.patch.set_visible(False)
    for axes in figure.axes:
        axes.patch.set_visible(False)
    stream = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    svg = stream.getvalue()
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg[svg.index("<svg") :])  # names that no other figure has
    for fixed, of_page in COLOURS.items():
        svg = svg.replace(fixed, of_page)
    width, rest = svg.split("<svg", 1)[1].split(">", 1)
    view = width[width.index("viewBox=") :].split('"')[1]
    return f'<svg viewBox="{view}" role="img" aria-label="{description}" xmlns:xlink="http://www.w3.org/1999/xlink">{rest}'
