"""What is shown of searches for several devices: their networks side by side."""

from __future__ import annotations

from edgenas.cli.display import answer, answer_all, percent, tabulate
from edgenas.cli.show_search import conclude_search, show_searched
from edgenas.pipeline.devices import SearchedDevices
from edgenas.report import DeviceComparison
from edgenas.report.devices import in_words, lost_in_words
from edgenas.run import Run


def show_devices(run: Run, found: SearchedDevices) -> None:
    """What was found, without each device's front: the run keeps those."""
    for searched in found.searched.values():
        show_searched(searched)
    answer_all(next(reversed(found.searched.values())).judgement)
    show_comparison(found.comparison)
    if found.picture:
        answer(f"Drawn: {found.picture}")
    conclude_search(run, found.records)


def show_comparison(comparison: DeviceComparison) -> None:
    """A row for every network; under every budget its latency, and what it loses to what was chosen for that."""
    columns = ["<chosen for", "<network", "validation", *(budget.label for budget in comparison.budgets)]
    rows = [
        [
            ", ".join(network.chosen_for) or "all at once",
            network.id,
            percent(network.score.value),
            *(f"{under.latency_ms:.3g} ms, {lost_in_words(under)}" for under in network.under),
        ]
        for network in comparison.networks
    ]
    kinds = ", ".join(dict.fromkeys(f"{b.kind} on {b.device}" for b in comparison.budgets))
    tabulate(f"The best network for each device, and what it loses on the others (latencies {kinds})", columns, rows, keys=2)
    answer(
        "Lost is accuracy, in points on the same validation images, with a 95 % interval; or the budget, which the upper end "
        "of the latency's interval breaks by so much."
    )
    answer_all(in_words(comparison))
