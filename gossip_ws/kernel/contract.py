"""A hosted service's operations as data: what the core, the codec and the filters need to know of a WSDL."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gossip_ws.kernel.address import Binding
from gossip_ws.kernel.names import QName
from gossip_ws.kernel.terms import Gathering, Priority, Style, Variant


class Number(StrEnum):
    """How the values of a field are added: integers stay integers, decimals exact, doubles IEEE 754."""

    INTEGER = "integer"
    DECIMAL = "decimal"
    DOUBLE = "double"


@dataclass(frozen=True, slots=True)
class Field:
    """One value field of a row: child element `name` of the row, which may repeat.

    The n-th occurrence is combined with the n-th. `low` and `high`, when given, are the range that the
    service declares for one device: a combined value outside of what its contributors could give is
    refused. So is a row with fewer occurrences than `least` or more than `most`: merged with others it would
    make a response that its schema does not allow.
    """

    name: QName
    number: Number
    low: float | None = None
    high: float | None = None
    least: int = 0
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """Where the numbers are in a response: response element / `path` ... / repeated `row` / fields.

    `path` leads from the response element to the parent of the rows. `keys` are children of a row by
    which a named aggregate may group; when rows of different keys are merged the key reads `mixed`.
    `elements` gives the order of a row's children as its schema has it (keys, fields and all others;
    others are left out of a combined row, so they must be optional in the schema).
    """

    response: QName
    path: tuple[QName, ...]
    row: QName
    keys: tuple[QName, ...]
    fields: tuple[Field, ...]
    elements: tuple[QName, ...]


@dataclass(frozen=True, slots=True)
class GossipPolicy:
    """What the vendor says of one gossip-enabled operation; advertised as a WS-Policy assertion.

    `fanout` and `rounds` of None follow the population's size. `scope` empty: the device's own scopes'
    whole area. `aggregate` is the filter of a client that names none (request-response only).
    `lifetime` (s) is how long a message may spread. `timeout` (s), `min_group`, `gathering`, `latest` and
    `one_hop` as in `Terms`.
    """

    variant: Variant = Variant.EAGER_PUSH
    fanout: int | None = None
    rounds: int | None = None
    scope: str = ""
    binding: Binding = Binding.UDP
    priority: Priority = Priority.NORMAL
    aggregate: str = ""
    lifetime: float = 3600.0
    timeout: float = 10.0
    min_group: int = 1
    gathering: Gathering = Gathering.TREE
    latest: bool = False
    one_hop: bool = False
    notification: bool = False
    """Of a one-way operation: only a device's own service starts it. Its WSDL has an output and no input, and no client
    can call it."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a portType; `action` is the wsam:Action of its input, or of a notification's output, the key of
    all dispatch."""

    name: str
    action: str
    style: Style
    request: QName
    response: QName | None = None
    reply_action: str = ""
    policy: GossipPolicy | None = None
    shape: Shape | None = None

    @property
    def is_notification(self) -> bool:
        """Is it for devices only to start?"""
        return self.policy is not None and self.policy.notification
