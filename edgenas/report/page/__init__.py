"""A run as one page that opens in any browser, offline."""

from edgenas.report.page.drawing import DrawnNetwork, draw_network
from edgenas.report.page.mistakes import worst_mistakes
from edgenas.report.page.page import Content, write_page

__all__ = ["Content", "DrawnNetwork", "draw_network", "worst_mistakes", "write_page"]
