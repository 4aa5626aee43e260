"""What a product gets: one file with a network, and everything that it takes to use it without EdgeNAS."""

from edgenas.deployment.bundle import unpack_bundle, write_bundle
from edgenas.deployment.page import write_page

__all__ = ["unpack_bundle", "write_bundle", "write_page"]
