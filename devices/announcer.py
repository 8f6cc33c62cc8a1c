"""What a device says to all others of its nano grid: once, by gossip, to the places where they stand.

Whoever hears it passes it on, the substation above them serves them all, and who comes late is given what is in force.
Refuses to know what is said, and who believes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from gossip_ws.devices.whereabouts import Whereabouts
from gossip_ws.kernel.errors import GossipError
from gossip_ws.kernel.names import QName
from gossip_ws.kernel.terms import Budget, Tier, Wanted
from gossip_ws.ports import Gossip
from gossip_ws.wire.terms import MAX_ITEMS

BUDGETS: Final = (Budget(Tier.WAN, 0, 0), Budget(Tier.FAN, 2, 2))
"""How far an announcement goes. Not among substations: a nano grid lies within one's area. Among the few members two
hops: the substation serves them all, until each has given a receipt, and this is for when it does not.
docs/nano-grids.md has what others cost."""


class Announcer:
    """Of one device. `place`: the scope of each device in the grid, empty for who is in no place. `types`: those that
    all who balance have, so that what stands behind a meter need not be told. `counters`: where it counts what it
    says."""

    def __init__(
        self,
        gossip: Gossip,
        whereabouts: Whereabouts,
        place: Callable[[str], str],
        types: tuple[QName, ...],
        counters: Counter[str],
    ) -> None:
        self._gossip = gossip
        self._whereabouts = whereabouts
        self._place = place
        self._types = types
        self._counters = counters

    def say(self, action: str, body: bytes, to: Sequence[str]) -> None:
        """To these devices. They are told one by one if one of them is in no place, or they are more than the terms of
        a message can name."""
        gossip = self._gossip
        places = tuple(sorted({self._place(device) for device in to}))
        if all(places) and len(places) <= MAX_ITEMS:
            try:
                gossip.originate(action, body, Wanted(types=self._types, scopes=places, budgets=BUDGETS))
            except GossipError:
                # What is not heard of here is reported, and matched by who hears of all.
                self._counters["announcement refused"] += 1
            else:
                self._counters["announced"] += 1
            return
        for device in to:
            self._counters[f"sent {action.rpartition(':')[2]}"] += 1
            self._whereabouts.reach(device, lambda addresses: gossip.tell(action, body, addresses))
