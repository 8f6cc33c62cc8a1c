"""The measure: a relay in a plain lxml loop, as one would write it by hand for this one message.

It does the work of a forward hop and no more: parse, find the header blocks, canonicalise the fixed part
and the Body, hash, look the id up, verify, rewrite the hop's header and the message id, serialise, send. No
node, no effects, no tiers, no repair, no limits but the size, nothing said of what is wrong.

Told to, it takes our codec's short cut as well: octets from the action on that it had before are a duplicate,
and are not parsed. Whoever thinks of it has a much faster loop, so a swarm is measured beside both.
"""

from __future__ import annotations

import time
from base64 import b64decode
from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import sha256
from random import Random
from typing import Any
from uuid import uuid4

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from lxml import etree

_S12 = "{http://www.w3.org/2003/05/soap-envelope}"
_WSA = "{http://www.w3.org/2005/08/addressing}"
_WSD = "{http://docs.oasis-open.org/ws-dd/ns/discovery/2009/01}"
_G = "{urn:gossip-ws:2026}"
_MOST = 32_767

Target = tuple[str, int]


class BareRelay:
    """One relay. `keys`: by key id, whose signature it takes; None leaves signatures unlooked at."""

    def __init__(
        self,
        device: str,
        peers: Sequence[Target],
        send: Callable[[bytes, Target], Any],
        dice: Random,
        keys: dict[str, Ed25519PublicKey] | None = None,
        deliver: Callable[[], None] | None = None,
    ) -> None:
        self.remembers = False
        self._device = device
        self._peers = peers
        self._send = send
        self._dice = dice
        self.keys = keys
        self._deliver = deliver
        self._seen: set[bytes] = set()
        self._tails: set[bytes] = set()
        self._parser = etree.XMLParser(
            resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
        )
        self.duplicates = 0

    def receive(self, frame: bytes) -> None:
        if len(frame) > _MOST:
            return
        tail = b""
        if self.remembers:
            tail = frame[frame.find(b"<wsa:Action") :]
            if tail in self._tails:
                self.duplicates += 1
                return
        root = etree.fromstring(frame, self._parser)
        header = root.find(_S12 + "Header")
        action = header.find(_WSA + "Action")
        terms = header.find(_G + "Terms")
        hop = header.find(_G + "Hop")
        body = root.find(_S12 + "Body")[0]
        uri = action.text.encode()
        fixed = etree.tostring(terms, method="c14n", exclusive=True, with_comments=False, with_tail=False)
        payload = etree.tostring(body, method="c14n", exclusive=True, with_comments=False, with_tail=False)
        digest = sha256(b"gossip-ws 1\n")
        for part in (uri, fixed, payload):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
        id = digest.digest()
        if id in self._seen:
            self.duplicates += 1
            return
        if datetime.fromisoformat(terms.get("Expires")).timestamp() <= time.time():
            return
        if self.keys is not None:
            signature = header.find(f"{_WSD}Security/{_WSD}Sig")
            try:
                self.keys[signature.get("KeyId")].verify(b64decode(signature.get("Sig")), id)
            except (KeyError, InvalidSignature):
                return
        self._seen.add(id)
        if tail:
            self._tails.add(tail)
        tier = hop.get("Tier")
        budget = next(found for found in terms.iterfind(_G + "Budget") if found.get("Tier") == tier)
        rounds = min(int(hop.get("Rounds")), int(budget.get("Rounds")))
        if rounds > 0:
            hop.set("Sender", self._device)
            hop.set("Rounds", str(rounds - 1))
            hop.set("Hops", str(int(hop.get("Hops")) + 1))
            header.find(_WSA + "MessageID").text = uuid4().urn
            onward = etree.tostring(root)
            for target in self._dice.sample(self._peers, int(budget.get("Fanout"))):
                self._send(onward, target)
        if self._deliver is not None:
            self._deliver()
