"""Winners and networks by hand side by side, in one precision or several."""

from __future__ import annotations

from edgenas.metric import Score
from edgenas.report.comparison import Contestant, beaten_by, in_best_precisions, side_by_side


def file(
    name: str, accuracy: float, ms: float, precision: str = "fp32", by_hand: bool = False, runtime: str = "litert"
) -> Contestant:
    return Contestant(name, by_hand, "", 96, "scratch", 60.0, "", "here", runtime, 1, precision, False, 500, accuracy,
                      Score.of_accuracy(accuracy, 500), ms, 1000)  # fmt: skip


def test_a_network_is_a_line_for_each_of_its_precisions() -> None:
    files = [file("2 ms", 0.8, 0.9, "int8"), file("2 ms", 0.9, 1.9), file("2 ms", 0.9, 1.8, runtime="onnxruntime")]
    (table,) = side_by_side(files)
    assert table.runtimes == ("litert", "onnxruntime")
    assert [(line.of.title, line.ms) for line in table.lines] == [
        ("2 ms int8", {"litert": 0.9}), ("2 ms", {"litert": 1.9, "onnxruntime": 1.8}),
    ]  # fmt: skip


def test_precisions_compete() -> None:
    ours, hand = file("2 ms", 0.9, 1.9), file("lenet", 0.92, 1.5, "int8", by_hand=True)
    assert beaten_by(ours, [ours, hand]) == [hand]
    assert side_by_side([ours, hand])[0].lines[0].beaten_by == ("lenet int8",)
    assert beaten_by(ours, [ours, file("lenet", 0.92, 1.5, by_hand=True, runtime="onnxruntime")]) == []


def test_of_a_network_what_its_other_precision_beats_is_left_out() -> None:
    kept = [
        file("2 ms", 0.9, 1.0, "int8"),
        file("1 ms", 0.8, 0.9),
        file("1 ms", 0.78, 0.5, "int8"),
        file("lenet", 0.8, 1.5, by_hand=True),
    ]
    assert in_best_precisions([file("2 ms", 0.9, 1.9), *kept]) == kept
