"""A run's page while others are at work on the run: served on this machine, and followed by whoever has it open."""

from edgenas.report.live.server import SCRIPT, LiveServer, Shown

__all__ = ["SCRIPT", "LiveServer", "Shown"]
