"""Search for the architectures of best accuracy within limits of latency, memory and size."""

from edgenas.search.additive import Additive, Bottleneck, Objective
from edgenas.search.attempt import Sought, attempt, unfinished
from edgenas.search.evolution import Evolution
from edgenas.search.exact import Exact
from edgenas.search.ledger import Ledger
from edgenas.search.pareto import hypervolume, pareto_front
from edgenas.search.problem import Constraint, Population, SearchProblem
from edgenas.search.record import SearchRecord, load_records
from edgenas.search.run import Evaluate, Outcome, run_strategy
from edgenas.search.search import Candidate, SearchResult, fastest, search
from edgenas.search.strategies import STRATEGIES, Bayesian, Proposal, Strategy, get_strategy
from edgenas.space import Categorical, Layout, Segment, Space

__all__ = [
    "STRATEGIES",
    "Additive",
    "Bayesian",
    "Bottleneck",
    "Candidate",
    "Categorical",
    "Constraint",
    "Evaluate",
    "Evolution",
    "Exact",
    "Layout",
    "Ledger",
    "Objective",
    "Outcome",
    "Population",
    "Proposal",
    "SearchProblem",
    "SearchRecord",
    "SearchResult",
    "Segment",
    "Sought",
    "Space",
    "Strategy",
    "attempt",
    "fastest",
    "get_strategy",
    "hypervolume",
    "load_records",
    "pareto_front",
    "run_strategy",
    "search",
    "unfinished",
]
