"""What a predictor sees of an architecture."""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from edgenas.space import SearchSpace, Space


@singledispatch
def features(space: Space, genomes: np.ndarray) -> np.ndarray:
    """`(n, d)` genomes -> `(n, f)` features: `stage_features` of networks; in any other space each gene, and one-hot.

    A space of one's own has its own where it registers them: `features.register(MySpace, function)`.
    """
    one_hot = [np.eye(size)[genomes[:, column]] for column, size in enumerate(space.gene_sizes)]
    return np.concatenate([genomes.astype(float), *one_hot], axis=1)


@features.register
def stage_features(space: SearchSpace, genomes: np.ndarray) -> np.ndarray:
    """`(n, d)` genomes -> `(n, f)` features, every one a sum over blocks or a function of resolution and width.

    For every block: whether it exists, its kernel and its expand ratio, and whether it has kernels that may be absent; for
    every stage: depth and the sums of kernel, expand ratio and their product; the resolution and its logarithm; an elastic
    width. That choice of features matters more to rank correlation than the model on top of it (measured on 2,223 ImageNet
    accuracies).
    """
    genomes = space.canonical(genomes)
    resolution = np.array(space.resolutions, dtype=float)[genomes[:, 0]]
    columns = [resolution, np.log(resolution)]
    if space.has_elastic_width:
        columns.append(np.array(space.widths)[genomes[:, 1]])
    for stage, (depth_column, blocks) in zip(space.stages, space.stage_columns, strict=True):
        depth = np.array(stage.depths)[genomes[:, depth_column]]
        exists = np.arange(len(blocks))[None] < depth[:, None]
        chosen = [np.array(values, float)[genomes[:, blocks[:, g]]] * exists for g, values in enumerate(stage.genes)]
        kernel, expand, *_ = chosen
        present = [values > 0 for values, of in zip(chosen, stage.genes, strict=True) if 0 in of]
        for values in (exists, *chosen, *present):
            columns += [*values.T.astype(float)]
        columns += [depth, kernel.sum(1), expand.sum(1), (kernel * expand).sum(1)]
    return np.stack(columns, axis=1).astype(float)
