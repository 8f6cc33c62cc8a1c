"""What a device asks of all who speak for a cluster's children: once, by a pull of the framework, at their places.

Their answers climb back together, each one whole, as its device has signed it. Refuses to know what is asked, and who
believes what is answered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from gossip_ws.core.messages import Tally
from gossip_ws.core.replies import Replies
from gossip_ws.kernel.errors import Fault, GossipError, RemoteError
from gossip_ws.kernel.names import QName
from gossip_ws.kernel.terms import ALL, Budget, Filter, Tier, Wanted
from gossip_ws.ports import Gossip
from gossip_ws.services.balancing import reports_in
from gossip_ws.wire.terms import MAX_ITEMS

NEAR: Final = (Budget(Tier.WAN, 0, 0), Budget(Tier.FAN, 0, 0))
"""Within an area: the substation asks them all."""
FAR: Final = (Budget(Tier.WAN, MAX_ITEMS + 1, 1), Budget(Tier.FAN, 0, 0))
"""Beyond it: each substation that is meant, and the information system, whose scope is around all of them."""


class Gatherer:
    """Of one device. `place`: the scope of each device in the grid, empty for who is in no place. `types`: those that
    all who balance have. `timeout`: s for which it waits. `counters`: where it counts what it asks."""

    def __init__(
        self,
        gossip: Gossip,
        place: Callable[[str], str],
        types: tuple[QName, ...],
        timeout: float,
        counters: Counter[str],
    ) -> None:
        self._gossip = gossip
        self._place = place
        self._types = types
        self._timeout = timeout
        self._counters = counters

    def ask(self, action: str, body: bytes, to: Sequence[str], *, is_near: bool, take: Callable[[bytes], None]) -> None:
        """These devices; `take` gets each report that comes back. Nobody is asked if one of them is in no place, or
        they are more than the terms of a message can name: who asked inquires of each of them then."""
        places = tuple(sorted({self._place(device) for device in to}))
        if not all(places) or len(places) > MAX_ITEMS:
            self._counters["pulls that cannot be addressed"] += 1
            return
        wanted = Wanted(
            types=self._types,
            scopes=places,
            budgets=NEAR if is_near else FAR,
            filter=Filter(name=ALL),
            timeout=self._timeout,
        )

        def answered(answer: bytes | Fault | Replies, _: Tally) -> None:
            if not isinstance(answer, Replies):
                self._counters["pulls in vain"] += 1
                return
            for single in answer.singles:
                try:
                    told = reports_in(single.value) if single.value else []
                except RemoteError:
                    self._counters["answers to pulls that are none"] += 1
                    continue
                for report in told:
                    self._counters["pulled reports"] += 1
                    take(report)

        try:
            self._gossip.ask(action, body, wanted, answered)
            self._counters["pulled"] += 1
        except GossipError:
            self._counters["pulls refused"] += 1
