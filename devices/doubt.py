"""What those that a pull did not count could change, as far as the WSDL says what one device can give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gossip_ws.core.messages import Tally
from gossip_ws.filters.bound import BOUNDED, bound
from gossip_ws.filters.rows import read_number, write_number
from gossip_ws.kernel.contract import Field, Number
from gossip_ws.kernel.names import QName
from gossip_ws.kernel.terms import Filter
from gossip_ws.wire.wsdl import Advertised

Range = tuple[str, str]
"""At least and at most, as the service writes its numbers."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """About one field of an operation under one filter. `why`: why nothing is known, empty when it is."""

    aggregate: str
    field: Field | None
    why: str

    @classmethod
    def of(cls, told: Advertised | None, chosen: Filter | None, name: QName) -> Doubt:
        """`chosen`: the filter that is asked for, None for the operation's own."""
        if told is None:
            return cls("", None, "the service does not advertise the operation")
        aggregate = told.policy.aggregate if chosen is None else chosen.name
        field = next((one for one in told.fields if one.name == name), None)
        if aggregate not in BOUNDED:
            return cls(aggregate, None, f"only {', '.join(BOUNDED)} have bounds")
        if field is None or (aggregate != "count" and (field.low is None or field.high is None)):
            return cls(aggregate, None, "the service states no range for one device")
        return cls(aggregate, field, "")

    def ranges(self, tally: Tally, values: Sequence[str]) -> list[Range | None] | None:
        """Where each value could lie; None where nothing is known."""
        if self.field is None:
            return None
        return [self._range(self.field, tally, value) for value in values]

    def _range(self, field: Field, tally: Tally, written: str) -> Range | None:
        try:
            value = read_number(written, Number.INTEGER if self.aggregate == "count" else field.number)
        except ValueError:
            return None
        found = bound(self.aggregate, field, value, tally.contributors, tally.expected - tally.contributors)
        if found is None or found.low is None or found.high is None:
            return None
        return write_number(found.low), write_number(found.high)
