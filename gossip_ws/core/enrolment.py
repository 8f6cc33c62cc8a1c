"""Both sides of registration: this device with its Peer Service, and others with the one on this device."""

from __future__ import annotations

from dataclasses import dataclass

from gossip_ws.core.config import NodeConfig
from gossip_ws.core.effects import AskPeers, ChallengeAgain, Effect, Enrol, EnrolAgain, Leave
from gossip_ws.core.messages import Ack, Ping
from gossip_ws.core.own import Own
from gossip_ws.core.peers import Peer, PeerTable, Relation, Role, is_uuid
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.dice import Dice
from gossip_ws.kernel.effects import Dropped, Send, SetTimer
from gossip_ws.kernel.errors import receiver_fault, sender_fault
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import DeviceId

ASK_LIMIT = 64
"""Peers asked for at once: their entries have to fit an envelope."""
_STRANGER_WAIT = 1.0
"""Seconds between two questions to the Peer Service because of strangers: they may be forged."""
_FIRST_RETRY = 0.5
_LONGEST_RETRY = 30.0
_PATIENCE = 3
"""Times that a registrar which took this device in may leave a refresh unanswered. The registration holds meanwhile:
one lost answer, or a busy substation, is no reason to move to another place in the tree."""
_SERVICES = 8
"""Peer Services that are known, the seeds among them."""
_NONCE_BITS = 128
_CHALLENGES = 12
"""Challenges sent before an address counts as one that does not answer: 0.03 % at 30 % loss each way. Many, since who
is forgotten does not learn of it, and is missing until it registers again, a third of a lease later."""
_CHALLENGE_RETRY = 0.3
_LONGEST_CHALLENGE_RETRY = 4.8


@dataclass(frozen=True, slots=True)
class _Open:
    """A challenge that was not met yet, and the address that it goes to."""

    nonce: bytes
    address: Address


_ABOVE_PARENT = {Role.METER: Relation.EQUAL, Role.APPLIANCE: Relation.PARENT}
"""How the askers before a device's parent stand to that parent: whom an orphan turns to."""


class Registrar:
    """Takes registrations. An entry is given out only after its address answered a challenge."""

    def __init__(self, config: NodeConfig, table: PeerTable, dice: Dice) -> None:
        self._config = config
        self._table = table
        self._dice = dice
        self._challenges: dict[DeviceId, _Open] = {}

    def register(self, peer: Peer, now: Instant, source: Address | None = None) -> tuple[float, list[Effect]]:
        """(lease in s, effects). Raises RemoteError when the entry is malformed, over a quota, or names other hosts
        than the one it came from: nobody is registered, moved or made to be sent to by somebody else."""
        if not is_uuid(peer.device) or peer.device == self._config.device:
            raise sender_fault("BadRegistration", f"not another device's urn:uuid: {peer.device!r}")
        address = peer.udp
        if address is None:
            raise sender_fault("BadRegistration", "a registration needs a soap.udp address: the challenge goes there")
        if not 1 <= peer.subtree <= self._config.peer_limit * self._config.peer_limit:
            raise sender_fault("BadRegistration", f"a subtree of {peer.subtree} devices")
        if source is not None and any(own is not None and own.host != source.host for own in (peer.udp, peer.http)):
            raise sender_fault("NotYours", f"a device registers itself, from where it is reached, not {source.host}")
        if self._is_anothers(peer, now):
            raise sender_fault("NotYours", "registered with another key, or at another host, until that lease ends")
        # Those that have not answered yet count: their challenges are on the way, and they fill the table too.
        if peer.device not in self._table and self._table.at(address.host) >= self._config.peers_per_host:
            raise receiver_fault("QuotaReached", f"too many registrations from {address.host}")
        lease = self._config.lease
        if not self._table.put(peer, now.monotonic + lease, proven=False):
            raise receiver_fault("QuotaReached", "the Peer Service is full")
        if self._table.is_proven(peer.device):
            return lease, []
        held_open = self._challenges.get(peer.device)
        if held_open is not None and held_open.address == address:
            return lease, []
        nonce = self._dice.getrandbits(_NONCE_BITS).to_bytes(_NONCE_BITS // 8, "big")
        self._challenges[peer.device] = _Open(nonce, address)
        return lease, self._challenge(peer.device, 1)

    def _is_anothers(self, peer: Peer, now: Instant) -> bool:
        """A key is public, so the same key is no proof: who holds an identity holds it at its host."""
        held = self._table.held(peer.device, now.monotonic)
        if held is None or not held.key:
            return False
        hosts = [one.udp.host if one.udp is not None else "" for one in (held, peer)]
        return held.key != peer.key or hosts[0] != hosts[1]

    def met(self, message: Ack, now: Instant) -> list[Effect]:
        """The nonce came back: whoever registered does receive at the address it named."""
        held = self._challenges.get(message.sender)
        if held is None or held.nonce != message.nonce:
            return [Dropped("challenge not met")]
        del self._challenges[message.sender]
        self._table.prove(message.sender)
        return []

    def again(self, timer: ChallengeAgain) -> list[Effect]:
        if timer.device not in self._challenges:
            return []
        if timer.attempt <= _CHALLENGES:
            return self._challenge(timer.device, timer.attempt)
        del self._challenges[timer.device]
        self._table.forget(timer.device)
        return [Dropped("registered address does not answer")]

    def _challenge(self, device: DeviceId, attempt: int) -> list[Effect]:
        held = self._challenges[device]
        wait = min(_CHALLENGE_RETRY * 2.0 ** (attempt - 1), _LONGEST_CHALLENGE_RETRY)
        return [
            Send(Ping(self._config.device, held.nonce), (held.address,)),
            SetTimer(ChallengeAgain(device, attempt + 1), wait),
        ]


class Enrolment:
    """Keeps this device registered with one Peer Service, and its own view of peers fresh."""

    def __init__(self, config: NodeConfig, table: PeerTable, dice: Dice, own: Own) -> None:
        self._config = config
        self._table = table
        self._dice = dice
        self._own = own
        self._services: list[Address] = list(config.seeds)
        self._next = 0
        self._turn = 0
        self._failures = 0
        self._told_subtree = 0
        self._hurrying = False
        self._asking = False
        self._last_ask = float("-inf")
        self._asked_of: Address | None = None
        # Did not answer: they may have taken this device in nevertheless.
        self._unsure: set[Address] = set()
        self.registrar: DeviceId | None = None
        self._taken_in_at: Address | None = None

    @property
    def is_enrolled(self) -> bool:
        return self.registrar is not None

    @property
    def is_told(self) -> bool:
        """Does the registrar know of everybody who is registered here?"""
        settled = self.is_enrolled and not self._asking and not self._hurrying
        return settled and self._told_subtree == self._table.subtree

    def start(self, now: Instant) -> list[Effect]:
        return self._enrol(now) if self._services else []

    def found(self, service: Address, now: Instant) -> list[Effect]:
        """Discovery found a Peer Service; used at once when there is none yet. Of too many the one found first makes
        room: a parent that moves is found at each of its addresses."""
        if service in self._services or not self._has_room():
            return []
        self._services.append(service)
        return [] if self.is_enrolled or len(self._services) > 1 else self._enrol(now)

    def _has_room(self) -> bool:
        if len(self._services) < _SERVICES:
            return True
        now = self._next % len(self._services)
        found = range(len(self._config.seeds), len(self._services))
        oldest = next((n for n in found if n != now and self._services[n] != self._taken_in_at), None)
        if oldest is None:
            return False
        self._next = now - (oldest < now)
        self._unsure.discard(self._services.pop(oldest))
        return True

    def again(self, timer: EnrolAgain, now: Instant) -> list[Effect]:
        return self._enrol(now) if timer.turn == self._turn else []

    def subtree_changed(self) -> list[Effect]:
        """Somebody registered or left below: tell the registrar soon, once for a burst of them. Not while an answer is
        open: of two registrations at once the older could come last."""
        if not self.is_enrolled or self._asking or self._hurrying or self._table.subtree == self._told_subtree:
            return []
        return self._hurry()

    def moved(self, now: Instant) -> list[Effect]:
        """The device is reached elsewhere from now on: whoever counts on it should know at once."""
        self._failures = 0
        self._turn += 1
        return self._enrol(now) if self._services else []

    def enrolled(self, lease: float, registrar: Peer, now: Instant) -> list[Effect]:
        """The Peer Service took us in for `lease` seconds and said who it is."""
        self._failures = 0
        self._asking = False
        self.registrar = registrar.device
        self._table.put(registrar, now.monotonic + 2 * lease, proven=True)
        if self._table.subtree != self._told_subtree:
            # Somebody came while the registration was on its way.
            effects = self._hurry()
        else:
            effects = self._later(lease / 3 * self._dice.uniform(0.8, 1.0))
        service = self._taken_in_at = self._services[self._next % len(self._services)]
        left = [Leave(other) for other in sorted(self._unsure - {service})]
        self._unsure.clear()
        return [*effects, *left, *self._ask(service, now)]

    def leave(self) -> Address | None:
        """The device goes down. The Peer Service that counts on it, if one does: it should know at once."""
        self._turn += 1
        if self.registrar is None:
            return None
        self.registrar = None
        return self._taken_in_at

    def failed(self, now: Instant) -> list[Effect]:
        """No answer, or a fault: the next one, later each time."""
        self._failures += 1
        self._asking = self._hurrying = False
        if not self.is_enrolled or self._failures >= _PATIENCE:
            self._unsure.add(self._services[self._next % len(self._services)])
            self._next += 1
        if self._failures >= 2 * len(self._services):
            self.registrar = None
        wait = min(_FIRST_RETRY * 2.0 ** min(self._failures - 1, 8), _LONGEST_RETRY)
        return self._later(wait * self._dice.uniform(0.5, 1.0))

    def told(self, peers: tuple[Peer, ...], relation: Relation | None, now: Instant) -> list[Effect]:
        """What the Peer Service holds. It vouches that their addresses answered. With a `relation`: who stands
        above the parent."""
        if relation is not None:
            for peer in peers:
                self._table.put_elder(peer)
            return []
        until = now.monotonic + 2 * self._config.peers_max_age
        for peer in peers:
            # A registrar also knows its own equals; those are no parents of ours.
            equal = self._table.relation_of(peer) is Relation.EQUAL
            if peer.device != self._config.device and (equal or self._config.peer_service is not None):
                self._table.put(peer, until, proven=True)
        return []

    def stranger(self, now: Instant) -> list[Effect]:
        """An equal asked us that we do not know: it registered after we last looked."""
        service = self._config.peer_service or self._asked_of
        if service is None or now.monotonic - self._last_ask < _STRANGER_WAIT:
            return []
        self._last_ask = float("-inf")
        # Who stands above the parent is not the question.
        return self._ask(service, now)[:1]

    def stale(self, now: Instant) -> list[Effect]:
        """Ask again when what is held is older than configured (seed 002 section III.A)."""
        service = self._config.peer_service or self._asked_of
        if service is None or now.monotonic - self._last_ask < self._config.peers_max_age:
            return []
        return self._ask(service, now)

    def _ask(self, service: Address, now: Instant) -> list[Effect]:
        service = self._config.peer_service or service
        self._asked_of = service
        if now.monotonic - self._last_ask < self._config.peers_max_age:
            return []
        self._last_ask = now.monotonic
        config = self._config
        if config.peer_service is not None:
            # It stands in for the one on this device: whoever is in this device's area.
            return [AskPeers(service, (), config.scopes, ASK_LIMIT)]
        asks: list[Effect] = [AskPeers(service, config.types, (), ASK_LIMIT)]
        above = _ABOVE_PARENT.get(config.role)
        if above is not None:
            asks.append(AskPeers(service, (), (), ASK_LIMIT, above))
        return asks

    def _enrol(self, now: Instant) -> list[Effect]:
        self._told_subtree = self._table.subtree
        self._asking = True
        self._hurrying = False
        service = self._services[self._next % len(self._services)]
        return [Enrol(service, self._own.towards(service))]

    def _hurry(self) -> list[Effect]:
        self._hurrying = True
        return self._later(self._dice.uniform(0.2, 0.4))

    def _later(self, delay: float) -> list[Effect]:
        self._turn += 1
        return [SetTimer(EnrolAgain(self._turn), delay)]
