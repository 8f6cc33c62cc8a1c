"""The Verifier of a device that trusts somebody: judges contents and callers by the rules of a Trust.

Cheap checks come first, the signature last: junk costs microseconds. Nothing is remembered of a verdict;
a duplicate is told by its gossip id before anyone asks here.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from gossip_ws.core.messages import Content, Signature
from gossip_ws.kernel.address import Binding
from gossip_ws.kernel.errors import LocalError, sender_fault
from gossip_ws.kernel.names import GossipId
from gossip_ws.kernel.terms import Terms
from gossip_ws.ports import Caller, Clock
from gossip_ws.security.authority import CallerRule, Originator, Trust, ip
from gossip_ws.security.keys import PrivateKey, PublicKey
from gossip_ws.security.passwords import Prover


class TrustVerifier:
    """`key` is the device's own, None for one that never originates. `clock` tells both kinds of time."""

    def __init__(self, trust: Trust, key: PrivateKey | None, clock: Clock) -> None:
        self._trust = trust
        self._key = key
        self._clock = clock
        self._prover = Prover(lambda: clock.now().monotonic)
        self._originators: dict[str, list[Originator]] = {}
        for originator in trust.originators:
            self._originators.setdefault(originator.key.id, []).append(originator)

    def of(self, key: PrivateKey) -> TrustVerifier:
        """That of another device, which trusts the same and signs with `key`."""
        return TrustVerifier(self._trust, key, self._clock)

    @property
    def originator(self) -> str:
        """The device's own key id, or `unsigned`, which no TrustVerifier accepts."""
        return self._key.id if self._key is not None else "unsigned"

    def verify(self, content: Content, caller: Caller) -> None:
        """Raises RemoteError: Unsigned, UnknownKey, NotAuthorised, NotYetIssued, Expired, LifetimeTooLong or
        BadSignature, in the order in which they are looked at."""
        signature = content.signature
        if signature is None:
            raise sender_fault("Unsigned", "a gossip message has to be signed here")
        if signature.key_id != content.terms.originator:
            raise sender_fault("NotAuthorised", "the key that signed is not the originator")
        rules = self._originators.get(signature.key_id)
        if not rules:
            raise sender_fault("UnknownKey", f"no key {signature.key_id[:32]} is known here")
        local = ip(caller.local)
        if not any(content.action in r.actions and (not r.interfaces or local in r.interfaces) for r in rules):
            raise sender_fault("NotAuthorised", f"this key may not originate {content.action} here")
        self._check_times(content.terms)
        if not rules[0].key.verifies(signature.value, content.id):
            raise sender_fault("BadSignature", "the signature does not fit the content")

    def authorise(self, action: str, caller: Caller) -> None:
        """Raises RemoteError: NotAuthorised, or Busy when too many passwords were tried.

        A datagram is never enough: its source proves nothing, and it carries no password.
        """
        if self._key is None:
            raise sender_fault("NotAuthorised", "this device signs for nobody: it has no key")
        if not any(action in rule.actions for rule in self._fitting(caller, action)):
            raise sender_fault("NotAuthorised", f"this device does not sign {action} for this caller")

    def issuer(self, caller: Caller) -> str:
        """The user of a plain call whose password fits, so that a service can tell issuers apart; empty when
        nobody is proved. Raises RemoteError when too many passwords were tried."""
        return next((rule.user for rule in self._fitting(caller) if rule.user), "")

    def sign(self, id: GossipId) -> Signature | None:
        """Raises LocalError without a key: nothing may be originated then."""
        if self._key is None:
            raise LocalError("this device has no key to sign with")
        return Signature(self._key.id, self._key.sign(id))

    @property
    def key(self) -> bytes:
        """The public half of the device's own key."""
        return self._key.public.raw if self._key is not None else b""

    def attest(self, statement: bytes) -> Signature | None:
        """Over SHA-256 of `statement`, as everything is that is signed here; None without a key."""
        return self.sign(GossipId(sha256(statement).digest())) if self._key is not None else None

    def is_attested(self, statement: bytes, signature: Signature, key: bytes) -> bool:
        """By the key itself, whoever it is that may originate something: a device answers for itself."""
        public = PublicKey.from_raw(key)
        return signature.key_id == public.id and public.verifies(signature.value, sha256(statement).digest())

    def _fitting(self, caller: Caller, action: str | None = None) -> Iterator[CallerRule]:
        """The rules that admit the caller. Who comes from elsewhere, or wants what no rule gives, costs no hash."""
        if caller.source.binding is not Binding.HTTP:
            return
        source, local = ip(caller.source.host), ip(caller.local)
        for rule in self._trust.callers:
            if (action is not None and action not in rule.actions) or not rule.admits(source, local):
                continue
            if rule.password is None or (
                rule.user == caller.user and self._prover.fits(rule.user, caller.password, rule.password)
            ):
                yield rule

    def _check_times(self, terms: Terms) -> None:
        now, skew = self._clock.now().wall, self._trust.clock_skew
        if terms.issued > now + skew:
            raise sender_fault("NotYetIssued", "issued in the future, by this device's clock")
        if terms.expires + skew <= now:
            raise sender_fault("Expired", "expired, by this device's clock")
        if terms.expires - terms.issued > self._trust.max_lifetime:
            raise sender_fault("LifetimeTooLong", f"a message lives at most {self._trust.max_lifetime:.0f} s here")
