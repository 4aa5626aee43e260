"""Search for subnets under a latency budget."""

from edgenas.search.evolution import Evolution, Population
from edgenas.search.ledger import Ledger
from edgenas.search.pareto import pareto_front
from edgenas.search.problem import SearchProblem
from edgenas.search.record import SearchRecord, load_records
from edgenas.search.search import Candidate, SearchResult, search

__all__ = [
    "Candidate",
    "Evolution",
    "Ledger",
    "Population",
    "SearchProblem",
    "SearchRecord",
    "SearchResult",
    "load_records",
    "pareto_front",
    "search",
]
