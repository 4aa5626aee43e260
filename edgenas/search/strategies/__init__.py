"""Strategies for expensive evaluations: which architecture to measure next."""

from __future__ import annotations

from collections.abc import Callable

from optuna.samplers import NSGAIISampler, RandomSampler, TPESampler

from edgenas.errors import UsageError
from edgenas.search.strategies import acquisition
from edgenas.search.strategies.base import History, Proposal, Strategy
from edgenas.search.strategies.bayesian import Bayesian
from edgenas.search.strategies.gp_ei import GaussianProcess
from edgenas.search.strategies.gradient import Gradient
from edgenas.search.strategies.halving import SuccessiveHalving
from edgenas.search.strategies.nsga2 import NSGA2
from edgenas.search.strategies.optuna_sampler import OptunaSampler
from edgenas.search.strategies.proxyless import Proxyless
from edgenas.search.strategies.reinforce import Reinforce
from edgenas.search.strategies.sampling import CoarseToFine, Random, TiedGrid
from edgenas.values import unknown

STRATEGIES: dict[str, Callable[[], Strategy]] = {
    "bayesian": Bayesian,
    "bayesian-thompson": lambda: Bayesian(acquisition=acquisition.thompson),
    "bayesian-ucb": lambda: Bayesian(acquisition=acquisition.upper_confidence_bound),
    "bayesian-ei": lambda: Bayesian(acquisition=acquisition.expected_improvement),
    "random": Random,
    "grid": TiedGrid,
    "coarse-to-fine": CoarseToFine,
    "successive-halving": SuccessiveHalving,
    "nsga2": NSGA2,
    "gp-ei": GaussianProcess,
    "reinforce": Reinforce,
    "reinforce-soft": lambda: Reinforce(soft=True),
    "gradient": Gradient,
    "proxyless": Proxyless,
    "optuna:tpe": lambda: OptunaSampler(TPESampler),
    "optuna:nsga2": lambda: OptunaSampler(NSGAIISampler),
    "optuna:random": lambda: OptunaSampler(RandomSampler),
}


def get_strategy(name: str) -> Strategy:
    """A strategy by its name. Raises UsageError for an unknown one, naming the nearest."""
    if name not in STRATEGIES:
        raise UsageError(unknown("strategy", name, STRATEGIES))
    return STRATEGIES[name]()


__all__ = [
    "NSGA2",
    "STRATEGIES",
    "Bayesian",
    "CoarseToFine",
    "GaussianProcess",
    "Gradient",
    "History",
    "OptunaSampler",
    "Proposal",
    "Proxyless",
    "Random",
    "Reinforce",
    "Strategy",
    "SuccessiveHalving",
    "TiedGrid",
    "get_strategy",
]
