"""The messages of consensus as elements of the balance WSDL: both ways, and their schema types, from one place.

A message's element follows from its dataclass: each field is a child of the same name, in the same order, of a type
that follows from the field's. So a message that gets a field gets an element, and nothing can be forgotten here.
Knows no service and nothing of what the messages are for.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Final, get_args, get_origin, get_type_hints

from gossip_ws.consensus.card import Card
from gossip_ws.consensus.clusters import LARGEST
from gossip_ws.consensus.log import AgreementId
from gossip_ws.consensus.trust import Sealed
from gossip_ws.consensus.vector import Vector
from gossip_ws.kernel.address import Address, Binding
from gossip_ws.kernel.errors import LocalError, RemoteError, sender_fault
from gossip_ws.kernel.names import BALANCE
from gossip_ws.services import _spyne as spyne
from gossip_ws.wire.envelope import text
from gossip_ws.wire.values import base64

MAX_PERIODS: Final = 96
MAX_WATTS: Final = 1_000_000_000
"""Either way in one period: what an instance may have."""
MAX_TOLD: Final = LARGEST * MAX_WATTS
"""The most that one message tells of a period: what a full cluster has left."""
MAX_NAME: Final = 255
MAX_CARDS: Final = 1 + LARGEST
"""The sender's own, and one for each device that a message names."""
MAX_SIGNATURE: Final = 64
"""Octets: Ed25519. A card is kept with its signature, also where nobody looks at it."""

_ONCE: Final = {"min_occurs": 1, "nillable": False}
_DIGITS: Final = len(str(MAX_TOLD)) + 1


def _named(name: str, base: Any, **facets: Any) -> Any:
    """A simple type with a name of its own in the WSDL; mandatory without `facets`."""
    made: Any = type(name, (base,), {"__namespace__": BALANCE})
    return made.customize(type_name=name, **{**_ONCE, **facets})


_NAME: Final = _named("Name", spyne.Unicode(min_len=1, max_len=MAX_NAME))
_SCHEDULE: Final = _named(
    "Schedule", spyne.Unicode(pattern="-?[0-9]+( -?[0-9]+)*", max_len=MAX_PERIODS * (_DIGITS + 1))
)
# Served.last is -1 where nothing ever was.
_COUNT: Final = _named("Count", spyne.Integer64(ge=-1))
_ADDRESS: Final = _named("Address", spyne.AnyUri(min_len=1, max_len=MAX_NAME), min_occurs=0)
_SIGNATURE: Final = spyne.ByteArray(min_occurs=0, nillable=False)
_SIMPLE: Final[Mapping[Any, Any]] = {int: _COUNT, str: _NAME, AgreementId: _NAME, Vector: _SCHEDULE}


class CardType(spyne.ComplexModel):
    """Where a device's Balance service is: its own words. number grows with every start and move; at least one of udp
    and http is there; signature is Ed25519, the device's own."""

    __namespace__ = BALANCE
    __type_name__ = "Card"
    device = _NAME
    number = _COUNT
    udp = _ADDRESS
    http = _ADDRESS
    signature = _SIGNATURE


def parts(kind: type) -> tuple[Any, ...]:
    """What Spyne is told that a sealed message of this kind consists of; the names are `PARTS`."""
    return (
        _NAME,
        _NAME,
        _COUNT,
        model(kind).customize(**_ONCE),
        _SIGNATURE,
        CardType.customize(min_occurs=0, max_occurs=MAX_CARDS, nillable=False),  # type: ignore[attr-defined]
    )


PARTS: Final = ("sender", "to", "stamp", "said", "signature", "card")


@cache
def model(kind: type) -> Any:
    """The schema type of a dataclass: one child a field."""
    members = {name: _element(hint) for name, hint in _hints(kind).items()}
    # The element that wraps an operation's parts has the operation's own name for its type.
    told = {"__namespace__": BALANCE, "__type_name__": kind.__name__ + "Type", "__doc__": kind.__doc__}
    return type(kind.__name__, (spyne.ComplexModel,), {**told, **members})


def sealed_element(sealed: Sealed, cards: Sequence[Card] = ()) -> bytes:
    """The request element of the operation that bears the message's name."""
    name = type(sealed.message).__name__
    signature = _child("signature", base64(sealed.signature)) if sealed.signature else ""
    told = (
        _child("sender", text(sealed.sender))
        + _child("to", text(sealed.to))
        + _child("stamp", str(sealed.stamp))
        + _child("said", _content(sealed.message))
        + signature
        + "".join(map(_card_element, cards))
    )
    return f'<b:{name} xmlns:b="{BALANCE}">{told}</b:{name}>'.encode()


def read_sealed(
    kind: type,
    sender: str,
    to: str,
    stamp: int,
    said: Any,
    signature: Sequence[bytes] | None,
    cards: Sequence[Any] | None,
) -> tuple[Sealed, tuple[Card, ...]]:
    """What Spyne has read, as values. Raises RemoteError for what the schema allows and the protocol does not."""
    message = _value(kind, said)
    return Sealed(sender, to, message, _signature(signature), stamp), tuple(map(_card, cards or ()))


def read_octets(told: str) -> bytes:
    """What stands there as base64. Raises RemoteError."""
    try:
        return b64decode(told, validate=True)
    except ValueError:
        raise _bad("not base64") from None


# -- by the type of a field --------------------------------------------------------------------


@cache
def _hints(kind: Any) -> Mapping[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _several(hint: Any) -> Any:
    """The type of the elements of a tuple of structures; None for anything else."""
    if get_origin(hint) is tuple and len(get_args(hint)) == 2 and is_dataclass(get_args(hint)[0]):
        return get_args(hint)[0]
    return None


def _element(hint: Any) -> Any:
    if hint in _SIMPLE:
        return _SIMPLE[hint]
    if (one := _several(hint)) is not None:
        return model(one).customize(min_occurs=0, max_occurs=LARGEST, nillable=False)
    if is_dataclass(hint):
        return model(hint).customize(**_ONCE)  # type: ignore[arg-type]
    raise TypeError(f"no element for a field of type {hint}")


def _content(value: Any) -> str:
    """The children of a structure's element."""
    found = []
    kind: Any = type(value)
    for name, hint in _hints(kind).items():
        held = getattr(value, name)
        if hint == Vector:
            found.append(_child(name, " ".join(map(str, held))))
        elif _several(hint) is not None:
            found += [_child(name, _content(one)) for one in held]
        else:
            found.append(_child(name, _content(held) if is_dataclass(held) else text(str(held))))
    return "".join(found)


def _value(kind: type, read: Any) -> Any:
    values = []
    for name, hint in _hints(kind).items():
        held = getattr(read, name)
        if hint == Vector:
            values.append(_vector(held))
        elif (one := _several(hint)) is not None:
            values.append(tuple(_value(one, each) for each in held or ()))
        else:
            values.append(_value(hint, held) if is_dataclass(hint) else held)  # type: ignore[arg-type]
    return kind(*values)


def _vector(told: str) -> Vector:
    vector = tuple(map(int, told.split(" ")))
    if len(vector) > MAX_PERIODS or max(map(abs, vector)) > MAX_TOLD:
        raise _bad(f"a schedule has at most {MAX_PERIODS} periods, of at most {MAX_TOLD} W")
    return vector


def _signature(told: Sequence[bytes] | None) -> bytes:
    signature = b"".join(told or ())
    if len(signature) > MAX_SIGNATURE:
        raise _bad(f"a signature has at most {MAX_SIGNATURE} octets")
    return signature


def _child(name: str, content: str) -> str:
    return f"<b:{name}>{content}</b:{name}>"


# -- cards -------------------------------------------------------------------------------------


def _card_element(card: Card) -> str:
    told = [_child("device", text(card.device)), _child("number", str(card.number))]
    told += [_child(name, text(str(at))) for name, at in (("udp", card.udp), ("http", card.http)) if at is not None]
    if card.signature:
        told.append(_child("signature", base64(card.signature)))
    return _child("card", "".join(told))


def _card(read: Any) -> Card:
    udp, http = _address(read.udp, Binding.UDP), _address(read.http, Binding.HTTP)
    if udp is None and http is None:
        raise _bad("a card has a udp or an http address")
    return Card(read.device, read.number, udp, http, _signature(read.signature))


def _address(told: str | None, binding: Binding) -> Address | None:
    if told is None:
        return None
    try:
        address = Address.parse(told)
    except LocalError as error:
        raise _bad(str(error)) from None
    if address.binding is not binding:
        raise _bad(f"not a {binding} address: {told}")
    return address


def _bad(reason: str) -> RemoteError:
    return sender_fault("BadMessage", reason, namespace=BALANCE)
