from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Sequence

import pytest

from gossip_ws.core.account import Known, Lack
from gossip_ws.core.peers import Peer, PeerTable, Role
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.errors import receiver_fault
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import DEVICE, DeviceId, GossipId, QName
from gossip_ws.kernel.terms import Wanted
from gossip_ws.ports import Answered, HostedService, Invocation, Outcome
from gossip_ws.services.metering import Measured
from gossip_ws.wire.envelope import Addressing, build

NOW = Instant(100.0, dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC).timestamp())


class Meter:
    """A MeterState with two categories; remembers the days that it was asked for."""

    def __init__(self, scale: int = 1) -> None:
        self.scale = scale
        self.days: list[dt.date] = []

    def demand(self, day: dt.date) -> Sequence[tuple[str, tuple[int, int, int]]]:
        self.days.append(day)
        return [("ev", (self.scale, 0, 3)), ("household", (40, 50, 60))]

    def measurement(self) -> Sequence[Measured]:
        return [Measured(230.5, -12.25, 1500.0)]


class Memory:
    """A Store in a dict, which can be told that its disk is full."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.full = False

    def get(self, name: str) -> bytes | None:
        return self.values.get(name)

    def put(self, name: str, value: bytes) -> None:
        if self.full:
            raise OSError(28, "no space left")
        self.values[name] = value


class Registrar:
    """A ports.Gossip around a real PeerTable; every address answers at once."""

    def __init__(self, own: Peer, limit: int = 100) -> None:
        self.own = own
        self.peers = PeerTable(own.role, limit)
        self.sources: list[Address] = []
        self.knows: dict[GossipId, Known] = {}

    @property
    def device(self) -> DeviceId:
        return self.own.device

    def own_towards(self, other: Address) -> Peer:
        return self.own

    def register(self, peer: Peer, source: Address) -> float:
        self.sources.append(source)
        if not self.peers.put(peer, NOW.monotonic + 60, proven=True):
            raise receiver_fault("QuotaExceeded", "the table is full")
        return 60.0

    @property
    def sent(self) -> int:
        return 0

    def forget(self, device: DeviceId) -> None:
        self.peers.forget(device)

    def known(self, about: GossipId) -> Known:
        return self.knows.get(about, Known(Lack.MISSING))

    def originate(self, action: str, body: bytes, wanted: Wanted | None = None) -> None:
        raise AssertionError("the Peer Service does not gossip")

    def ask(self, action: str, body: bytes, wanted: Wanted, answered: Answered) -> None:
        raise AssertionError("the Peer Service asks nobody")


def peer(number: int = 1, role: Role = Role.METER, scopes: tuple[str, ...] = ("grid://city/ssc-1",)) -> Peer:
    return Peer(
        device=DeviceId(f"urn:uuid:00000000-0000-4000-8000-{number:012}"),
        role=role,
        types=(DEVICE, QName(f"{{urn:gossip-ws:2026:grid}}{role}")),
        scopes=scopes,
        udp=Address.parse(f"soap.udp://127.0.1.{number % 250 + 1}:3702/gossip"),
        http=Address.parse(f"http://127.0.1.{number % 250 + 1}:8080/gossip"),
        subtree=number,
        incarnation=7,
    )


Ask = Callable[..., Outcome]


@pytest.fixture
def ask() -> Ask:
    """ask(hosted, operation name, payload, issuer=..., now=..., source=...) -> Outcome."""
    ids = itertools.count()

    def ask(
        hosted: HostedService,
        name: str,
        payload: bytes,
        issuer: str = "utility",
        now: Instant = NOW,
        source: Address | None = None,
    ) -> Outcome:
        (operation,) = (operation for operation in hosted.operations.values() if operation.name == name)
        addressing = Addressing(action=operation.action, message_id=f"urn:test:{next(ids)}", to="urn:test")
        outcomes: list[Outcome] = []
        hosted.invoke(Invocation(operation, build(addressing, payload), issuer, now, source), outcomes.append)
        (outcome,) = outcomes
        return outcome

    return ask


@pytest.fixture
def meter() -> Meter:
    return Meter()


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def now() -> Instant:
    return NOW


@pytest.fixture(name="peer")
def peer_maker() -> Callable[..., Peer]:
    return peer


@pytest.fixture
def registrar() -> Registrar:
    return Registrar(peer(999, Role.SUBSTATION))


@pytest.fixture
def small_registrar() -> Registrar:
    return Registrar(peer(999, Role.SUBSTATION), limit=1)


@pytest.fixture
def big_registrar() -> Registrar:
    return Registrar(peer(999, Role.SUBSTATION), limit=1000)
