"""A DPWS stack whose services gossip."""

__version__ = "0.1.0"
