"""The filter that combines nothing: each device's reply stays as it is, or is left out as a whole.

A reply is judged by the rules of the aggregates, one device at a time: it has to be the operation's response, its
numbers in the range that the service declares. A device judges its own reply, and the entry those of all: what lies
between passes them on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gossip_ws.filters.elements import read
from gossip_ws.filters.named import Named
from gossip_ws.filters.rows import AGGREGATES
from gossip_ws.kernel.contract import Shape
from gossip_ws.kernel.errors import sender_fault
from gossip_ws.kernel.terms import Filter
from gossip_ws.ports import Combination, Input

# Between them they look at the lowest and the highest of every number.
_JUDGES = (AGGREGATES["min"], AGGREGATES["max"])


@dataclass(frozen=True, slots=True)
class Singles:
    """Fitted to one shape; None where this device does not host the operation."""

    shape: Shape | None

    @classmethod
    def fit(cls, filter: Filter, shape: Shape | None) -> Singles:
        """Raises RemoteError for one that groups: there is nothing to group."""
        if filter.group_by:
            raise sender_fault("FilterNotAllowed", f"{filter.name}: single replies are not grouped")
        return cls(shape)

    def combine(self, inputs: tuple[Input, ...], final: bool) -> Combination:
        """No value: the replies are with whoever asks. Returns the indices of those to be left out."""
        judged = [index for index, value in enumerate(inputs) if final or value.own]
        return Combination(b"", tuple(index for index in judged if not self._holds(inputs[index])))

    def _holds(self, value: Input) -> bool:
        if self.shape is None:
            try:
                read(value.value)
            except ValueError:
                return False
            return True
        own = (replace(value, own=True),)
        return not any(Named(judge, self.shape, None).combine(own, final=False).refused for judge in _JUDGES)
