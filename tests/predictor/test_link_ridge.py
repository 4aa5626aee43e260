import csv
import json

import numpy as np
import pytest

from edgenas.predictor import LinkRidge, kendall_tau, measure_shift, stage_features
from edgenas.space import get_space
from edgenas.space.once_for_all import from_ofa


@pytest.fixture(scope="module")
def space():
    return get_space("mobilenetv3", "tiny", 10)


def test_features_are_additive_over_blocks(space):
    genomes = space.sample(np.random.default_rng(0), 50)
    features = stage_features(space, genomes)
    depths = np.array([space.decode(g).depths for g in genomes])
    assert features.shape == (50, 2 + 5 * (3 * 4 + 4))
    assert (features[:, 2:6].sum(1) == depths[:, 0]).all()
    longer = space.decode(genomes[0])
    kernels = [choice.kernel for choice in longer.stages[0]]
    assert features[0, 6:10].tolist() == kernels + [0] * (4 - len(kernels))


def test_the_genes_of_dropped_blocks_are_not_seen(space):
    raw = np.random.default_rng(0).integers(0, space.gene_sizes, (50, len(space.gene_sizes)))
    assert (stage_features(space, raw) == stage_features(space, space.canonical(raw))).all()


def test_a_saturating_additive_truth_is_learned(space):
    rng = np.random.default_rng(0)
    genomes = space.sample(rng, 400)
    features = stage_features(space, genomes)
    score = features @ (rng.random(features.shape[1]) / features.std(0).clip(1e-9))
    truth = 0.9 - np.exp(-(score - score.mean()) / score.std() / 2) * 0.1
    predictor = LinkRidge(space)
    quality = predictor.fit(genomes[:120], truth[:120])
    held_out = predictor.predict(genomes[120:])
    assert kendall_tau(held_out, truth[120:]) > 0.95
    assert quality.tau == pytest.approx(kendall_tau(held_out, truth[120:]), abs=0.03)
    assert np.abs(held_out - truth[120:]).mean() < 0.1 * truth.std()
    covered = np.mean(np.abs(held_out - truth[120:]) <= quality.interval)
    assert covered > 0.8


def test_noise_alone_is_not_believed(space):
    rng = np.random.default_rng(1)
    genomes = space.sample(rng, 60)
    quality = LinkRidge(space).fit(genomes, 0.9 + 0.01 * rng.standard_normal(60))
    assert abs(quality.tau) < 0.5
    assert quality.error == pytest.approx(0.01, rel=0.5)


def test_constant_accuracy_is_predicted_as_such(space):
    genomes = space.sample(np.random.default_rng(2), 20)
    predictor = LinkRidge(space)
    predictor.fit(genomes, np.full(20, 0.5))
    np.testing.assert_allclose(predictor.predict(space.sample(np.random.default_rng(3), 20)), 0.5, atol=1e-3)


def test_too_few_samples_are_refused(space):
    with pytest.raises(ValueError, match="at least 10"):
        LinkRidge(space).fit(space.sample(np.random.default_rng(0), 9), np.zeros(9))


def test_kendall_tau_by_hand():
    assert kendall_tau(np.array([1, 2, 3, 4]), np.array([1, 2, 3, 4])) == 1
    assert kendall_tau(np.array([1, 2, 3, 4]), np.array([4, 3, 2, 1])) == -1
    assert kendall_tau(np.array([1, 2, 3]), np.array([1, 3, 2])) == pytest.approx(1 / 3)
    assert kendall_tau(np.array([1, 1, 2]), np.array([1, 2, 3])) == pytest.approx(2 / np.sqrt(6))
    assert np.isnan(kendall_tau(np.ones(3), np.arange(3)))


def test_one_in_twenty_of_the_same_kind_lies_outside_and_the_largest_does(space):
    rng = np.random.default_rng(0)
    genomes = space.sample(rng, 2100)
    features = stage_features(space, genomes)
    accuracies = 0.9 - np.exp(-features @ (rng.random(features.shape[1]) / features.std(0).clip(1e-9)) / 5)
    alike = []
    for part in range(5):
        order = np.random.default_rng(part).permutation(2100)
        predictor = LinkRidge(space)
        predictor.fit(genomes[order[:100]], accuracies[order[:100]])
        alike.append(predictor.is_outside(genomes[order[100:]]).mean())
        assert predictor.is_outside(space.encode(space.largest)[None]).all()
    assert 0.005 < np.mean(alike) < 0.1


def test_a_shift_is_measured_without_what_was_found(space):
    rng = np.random.default_rng(0)
    genomes = np.concatenate([space.sample(rng, 60), np.tile(space.encode(space.largest), (3, 1))])
    accuracies = np.append(0.5 + 0.01 * rng.standard_normal(60), np.full(3, 0.8))
    found = np.arange(63) >= 60
    shift = measure_shift(space, genomes, accuracies, found)
    assert (shift.found, shift.others, shift.outside) == (3, 60, 3)
    assert shift.error == pytest.approx(0.3, abs=0.1)
    assert measure_shift(space, genomes[51:], accuracies[51:], found[51:]) is None


@pytest.fixture
def published(shared):
    """The published subnets with their real ImageNet accuracies, each once, in the order of the file."""
    space = get_space("mobilenetv3", "imagenet", 1000)
    accuracy, macs = {}, {}
    with (shared / "ofa_mbv3_imagenet/ofa_mbv3w10_top1_macs_params_i7latency.csv").open() as file:
        for row in csv.DictReader(file):
            architecture = from_ofa(int(row["r"]), *(json.loads(row[name]) for name in ("d", "ks", "e")))
            accuracy[architecture], macs[architecture] = float(row["imagenet_top1"]) / 100, int(row["macs"])
    genomes = np.array([space.encode(a) for a in accuracy])
    return space, genomes, np.array(list(accuracy.values())), np.array(list(macs.values()))


def fit_and_test(space, genomes, truth, train, test):
    """Kendall's tau and mean absolute error in % on the test rows."""
    predictor = LinkRidge(space)
    predictor.fit(genomes[train], truth[train])
    predicted = predictor.predict(genomes[test])
    return kendall_tau(predicted, truth[test]), 100 * np.abs(predicted - truth[test]).mean()


def test_fifty_real_accuracies_are_enough(published):
    """On random splits, the median of five; and better than any predictor could be that ranks by MACs alone."""
    space, genomes, truth, macs = published
    orders = [np.random.default_rng(seed).permutation(len(genomes)) for seed in range(5)]
    tau, error = np.median([fit_and_test(space, genomes, truth, order[:50], order[50:]) for order in orders], axis=0)
    assert tau >= 0.90 > kendall_tau(macs, truth)
    assert error <= 0.15


def test_trained_on_random_and_tested_on_what_a_search_found(published):
    """The first 100 rows are a uniform sample, every depth, kernel and expand ratio as frequent as any other; from there on
    the rows drift to one end of the front after another, as a search does that was begun with that sample."""
    space, genomes, truth, _ = published
    depths = genomes[:, 1::9]
    assert abs(depths[:100].mean() - 1) < 0.05 < abs(depths[100:200].mean() - 1)
    tau, error = fit_and_test(space, genomes, truth, slice(100), slice(100, None))
    assert tau >= 0.93
    assert error <= 0.13


def test_what_resembles_what_is_known_is_learned_from_few(space):
    """As accuracies in int8 resemble those in float32: a little lower, the more so the larger the kernels."""
    rng = np.random.default_rng(0)
    genomes = space.sample(rng, 400)
    features = stage_features(space, genomes)
    score = features @ (rng.random(features.shape[1]) / features.std(0).clip(1e-9))
    score = (score - score.mean()) / score.std()
    floats = 0.9 - 0.1 * np.exp(-score / 2) + 0.004 * rng.standard_normal(400)
    integers = floats - 0.01 - 0.002 * features[:, 6] + 0.002 * rng.standard_normal(400)
    few, held_out = slice(100, 115), slice(150, 400)
    alone, learned = LinkRidge(space), LinkRidge(space)
    alone.fit(genomes[few], integers[few])
    quality = learned.fit(genomes[few], integers[few], (genomes[:120], floats[:120]))
    errors = [np.sqrt(np.mean((p.predict(genomes[held_out]) - integers[held_out]) ** 2)) for p in (alone, learned)]
    assert errors[1] < 0.6 * errors[0]
    assert abs(np.mean(learned.predict(genomes[held_out]) - integers[held_out])) < 0.005
    # What is known of the same architectures in floats is no part of the check: they had the same luck.
    assert quality.error > 0.7 * errors[1]
    changes = learned.score(genomes[:2]), learned.sampled_score(rng)(genomes[:2])
    assert np.abs(changes[0] - changes[1]).max() < 10 * learned.deviation(genomes[:2]).max()
    assert learned.fit(genomes[:120], integers[:120]).tau == LinkRidge(space).fit(genomes[:120], integers[:120]).tau
