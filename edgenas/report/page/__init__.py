"""A run as one page that opens in any browser, offline."""

from edgenas.report.page.content import Content, Front, UnderWay
from edgenas.report.page.drawing import DrawnNetwork, draw_network
from edgenas.report.page.mistakes import Mistake, worst_mistakes
from edgenas.report.page.page import Live, render_page, write_page

__all__ = [
    "Content",
    "DrawnNetwork",
    "Front",
    "Live",
    "Mistake",
    "UnderWay",
    "draw_network",
    "render_page",
    "worst_mistakes",
    "write_page",
]
