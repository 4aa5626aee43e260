"""What is shown of searches for several devices: each one's front, and the networks side by side."""

from __future__ import annotations

from edgenas.cli.display import answer, answer_all, scored, tabulate
from edgenas.cli.show_search import conclude_search, show_front, show_searched
from edgenas.pipeline.devices import SearchedDevices
from edgenas.report import DeviceComparison
from edgenas.report.devices import in_words, lost_in_words
from edgenas.run import Run


def show_devices(run: Run, found: SearchedDevices) -> None:
    for searched in found.searched.values():
        show_searched(searched)
        for record in searched.records:
            show_front(record)
    answer_all(next(reversed(found.searched.values())).judgement)
    show_comparison(found.comparison)
    if found.picture:
        answer(f"Drawn: {found.picture}")
    conclude_search(run, found.records)


def show_comparison(comparison: DeviceComparison) -> None:
    """A row for every network; under every budget its latency, and what it loses to what was chosen for that."""
    columns = ["<chosen for", "<network", "validation"]
    for budget in comparison.budgets:
        columns += [f"{budget.device} ms", f"loses for {budget.label}"]
    rows = [
        [
            ", ".join(network.chosen_for) or "all at once",
            network.id,
            scored(network.score),
            *(text for under in network.under for text in (f"{under.latency_ms:.3f}", lost_in_words(under))),
        ]
        for network in comparison.networks
    ]
    kinds = ", ".join(dict.fromkeys(f"{b.kind} on {b.device}" for b in comparison.budgets))
    tabulate(f"The best network for each device, and what it loses on the others (latencies {kinds})", columns, rows, keys=2)
    answer(
        "Of accuracy, in points on the same validation images, with a 95 % interval; or by how much the upper end of its "
        "latency's interval breaks the budget."
    )
    answer_all(in_words(comparison))
