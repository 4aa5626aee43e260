"""What a product gets: one file with a network, and everything that it takes to use it without EdgeNAS."""

from edgenas.deployment.bundle import write_bundle

__all__ = ["write_bundle"]
