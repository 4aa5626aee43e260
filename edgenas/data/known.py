"""`KnownClasses`: classes that are given, of which a source may have images of some alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgenas.errors import DataError
from edgenas.names import of_class, some

SHARES = {"validation": 0.4, "test": 0.4}
"""Of the images of a folder without parts: for training there only have to be enough to recalibrate batch norm with."""


@dataclass(frozen=True)
class KnownClasses:
    """The classes of a classifier that is not trained any more.

    names: in the order of its scores. synonyms: further names of folders, to the name of the class.
    """

    names: tuple[str, ...]
    synonyms: Mapping[str, str] = field(default_factory=dict)

    def name_of(self, folder: str) -> str | None:
        """The class that a folder's name means: its name, a synonym, or its index among the scores."""
        folder = of_class(folder)
        if folder in self.synonyms:
            return self.synonyms[folder]
        if folder in self.names:
            return folder
        return self.names[int(folder)] if folder.isdecimal() and int(folder) < len(self.names) else None

    def folders(self, folders: Sequence[str], where: str) -> dict[str, str]:
        """The class that each folder holds images of. Raises DataError naming those that hold none."""
        found = {folder: name for folder in folders if (name := self.name_of(folder)) is not None}
        strange = [folder for folder in folders if folder not in found]
        if strange:
            raise DataError(
                f"{some(strange)} in {where} are none of the {len(self.names)} classes that the weights know, such as "
                f"{some(list(self.names), 2)}. Name the folders by class, or train for classes of your own: leave out "
                "`epochs` 0."
            )
        twice = [folder for folder, name in found.items() if list(found.values()).count(name) > 1]
        if twice:
            raise DataError(f"{some(twice)} in {where} mean the same class: put their images into one folder.")
        return found

    def labels(self, labels: np.ndarray, folders: Mapping[str, str]) -> np.ndarray:
        """`(n,)` indices of folders, -1 for none, as indices of classes."""
        places = np.array([self.names.index(name) for name in folders.values()], dtype=np.int64)
        return np.where(labels < 0, -1, places[labels])
