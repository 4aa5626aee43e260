"""`Ledger`: every accuracy that was truly measured, so that none is measured twice."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from edgenas.space import Architecture


class Ledger:
    """Validation accuracies of one supernet's architectures, in a JSON-lines file beside its searches.

    Each is written when it is known: an interrupted search loses none, and the next search for another budget or
    device begins with all of them. Entries of other weights or other validation images (`key`) are not used.
    """

    def __init__(self, path: Path, key: str):
        self.path = path
        self.key = key
        self._accuracies: dict[Architecture, float] = {}
        text = path.read_text() if path.exists() else ""
        if text and not text.endswith("\n"):
            with path.open("a") as file:
                file.write("\n")  # ends the line that was being written when the process was killed
        for line in text.splitlines():
            try:
                row = json.loads(line)
                if row["key"] == key:
                    self._accuracies[Architecture.from_json(row["architecture"])] = float(row["validation_accuracy"])
            except (ValueError, KeyError, TypeError):
                continue  # that line

    def __len__(self) -> int:
        return len(self._accuracies)

    def __contains__(self, architecture: Architecture) -> bool:
        return architecture in self._accuracies

    def __getitem__(self, architecture: Architecture) -> float:
        return self._accuracies[architecture]

    def items(self) -> list[tuple[Architecture, float]]:
        return list(self._accuracies.items())

    def add(self, architecture: Architecture, validation_accuracy: float) -> None:
        self._accuracies[architecture] = validation_accuracy
        row = {"key": self.key, "architecture": architecture.to_json(), "validation_accuracy": validation_accuracy}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")


def weights_key(weights: Path) -> str:
    """Names the weights that accuracies belong to: the hash of their file."""
    return hashlib.sha256(weights.read_bytes()).hexdigest()[:12]
