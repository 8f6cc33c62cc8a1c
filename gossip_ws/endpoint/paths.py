"""Where on a device things are, as paths of its HTTP address."""

from typing import Final

GOSSIP_PATH: Final = "/gossip"
"""Where relays send to; behind a hosted service's own path, its shadow."""
DEVICE_PATH: Final = "/device"
SUBSCRIPTIONS_PATH: Final = "/subscriptions/"
"""Followed by what nobody guesses: the manager of one subscription."""
