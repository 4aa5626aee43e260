"""What a predictor sees of an architecture."""

from __future__ import annotations

import numpy as np

from edgenas.space import SearchSpace


def features(space: object, genomes: np.ndarray) -> np.ndarray:
    """`(n, d)` genomes -> `(n, f)` features: `stage_features` of networks; in any other space each gene, and one-hot."""
    if isinstance(space, SearchSpace):
        return stage_features(space, genomes)
    one_hot = [np.eye(size)[genomes[:, column]] for column, size in enumerate(space.gene_sizes)]
    return np.concatenate([genomes.astype(float), *one_hot], axis=1)


def stage_features(space: SearchSpace, genomes: np.ndarray) -> np.ndarray:
    """`(n, d)` genomes -> `(n, f)` features, every one a sum over blocks or a function of the resolution.

    For every block: whether it exists, its kernel and its expand ratio; for every stage: depth and the sums of kernel,
    expand ratio and their product; the resolution and its logarithm. That choice of features matters more to rank
    correlation than the model on top of it (measured on 2,223 ImageNet accuracies).
    """
    genomes = space.canonical(genomes)
    resolution = np.array(space.resolutions, dtype=float)[genomes[:, 0]]
    columns = [resolution, np.log(resolution)]
    column = 1
    for stage in space.stages:
        depth = np.array(stage.depths)[genomes[:, column]]
        genes = genomes[:, column + 1 : column + 1 + 2 * max(stage.depths)]
        exists = np.arange(max(stage.depths))[None] < depth[:, None]
        kernel = np.array(stage.kernels, dtype=float)[genes[:, 0::2]] * exists
        expand = np.array(stage.expands, dtype=float)[genes[:, 1::2]] * exists
        columns += [*exists.T.astype(float), *kernel.T, *expand.T]
        columns += [depth, kernel.sum(1), expand.sum(1), (kernel * expand).sum(1)]
        column += 1 + 2 * max(stage.depths)
    return np.stack(columns, axis=1).astype(float)
