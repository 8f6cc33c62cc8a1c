"""Everything that one examination of a device brought to light; rules judge it and ask nothing more."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from gossip_ws.conform.contract import Contract
from gossip_ws.conform.datagrams import Answer, Question
from gossip_ws.conform.http import Exchange
from gossip_ws.conform.reading import MatchSeen, Message, epr_address, matches
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.names import DPWS, QName, qname

FINDING: Final = ("find", "find_resolve")
"""The questions that find the device; the others come when that is done."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """A Hello or a Bye of the device, heard on the way."""

    message: Message
    is_hello: bool


@dataclass(slots=True)
class ServiceSeen:
    """One hosted service: what the device says of it, and what it says itself."""

    id: str
    types: tuple[QName, ...]
    address: str
    metadata: Exchange
    unknown: Exchange
    contract: Contract | None = None
    """Of its WSDL; None when it gives none."""

    @property
    def is_asked(self) -> bool:
        """Has it an http address, at which it could be asked?"""
        return bool(self.metadata.message_id)


@dataclass(frozen=True, slots=True)
class Subscription:
    """A Subscribe, and where its subscription is managed; `manager` is empty when it was refused."""

    exchange: Exchange
    manager: str = ""
    parameters: bytes = b""
    expires: str = ""


@dataclass(slots=True)
class EventsSeen:
    """An event source, asked in every way. An exchange that did not take place is None."""

    filtered: Subscription | None
    """With a filter of an action that the contract tells; None where it tells none."""
    subscribed: Subscription
    """That, if it was taken, else one without a filter."""
    mode: Subscription
    dialect: Subscription
    nothing: Subscription
    no_address: Subscription
    no_end: Subscription
    no_time: Subscription
    renewed: Exchange | None = None
    status: Exchange | None = None
    unsubscribed: Exchange | None = None
    gone_status: Exchange | None = None
    gone_renew: Exchange | None = None
    notifications: list[Message] = field(default_factory=list)


@dataclass(slots=True)
class Evidence:
    """`device`: its endpoint reference, empty when it tells none. `url`: the transport address that was asked.
    `http` and `udp` hold exchanges and questions by name; a name that is not there was not asked."""

    url: str
    device: str = ""
    http: dict[str, Exchange] = field(default_factory=dict)
    udp: dict[str, Question] = field(default_factory=dict)
    no_multicast: str = ""
    """Why nothing was asked by multicast; empty when it was."""
    junk: Question | None = None
    announcements: list[Announcement] = field(default_factory=list)
    services: list[ServiceSeen] = field(default_factory=list)
    left_out: int = 0
    """Hosted services beyond those that were asked."""
    one_way: Exchange | None = None
    no_one_way: str = "a one-way operation changes something: name one by --one-way"
    """Why none was called."""
    events: EventsSeen | None = None

    @property
    def get(self) -> Message | None:
        """The envelope that answered the first Get."""
        return self.http["get"].message if "get" in self.http else None

    def sections(self, name: str) -> list[etree._Element]:
        """The DPWS elements of that name among the sections of the GetResponse."""
        message = self.get
        if message is None or message.payload is None:
            return []
        return [element for element in message.payload.iterfind("*/*") if element.tag == qname(DPWS, name)]

    def host_address(self) -> str:
        """The endpoint reference that the Get tells; empty when it tells none."""
        for relationship in self.sections("Relationship"):
            host = relationship.find(qname(DPWS, "Host"))
            if host is not None and epr_address(host):
                return epr_address(host)
        return ""

    # -- who answered ------------------------------------------------------------------------------

    def own(self, name: str) -> list[Answer]:
        """The device's own answers to a multicast question, which goes to every device.

        An answer that names a device is that device's. One that names none is this device's if it comes from where
        all its others come from, or, where they come from several ports, from the same host.
        """
        question = self.udp.get(name)
        sources = self.sources()
        hosts = {source.host for source in sources} if len(sources) > 1 else set()
        found = []
        for answer in question.answers if question is not None else ():
            named = _named(answer)
            if self.device in named or (not named and (answer.source in sources or answer.source.host in hosts)):
                found.append(answer)
        return found

    def sources(self) -> set[Address]:
        """Where answers that name the device came from."""
        answers = (answer for question in self.udp.values() for answer in question.answers)
        return {answer.source for answer in answers if self.device in _named(answer)}

    def own_matches(self, name: str) -> list[MatchSeen]:
        """What the device says of itself in its answers to a question."""
        return [one for answer in self.own(name) for one in answer.matches if one.epr == self.device]

    def is_heard(self) -> bool:
        """Did it answer anything after it was found?"""
        return any(self.own(name) for name in self.udp if name not in FINDING)

    def told(self) -> list[MatchSeen]:
        """Whatever the device says of itself in answers, by datagram or by HTTP."""
        found = [one for name in self.udp for one in self.own_matches(name)]
        directed = self.http.get("directed")
        if directed is not None and directed.message is not None:
            found += matches(directed.message)
        return found


def _named(answer: Answer) -> set[str]:
    return {one.epr for one in answer.matches if one.epr}
