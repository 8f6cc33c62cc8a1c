"""Whose fault it is. A RemoteError knows the SOAP fault that tells the sender so."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gossip_ws.kernel.names import GOSSIP, QName, qname


class GossipError(Exception):
    """Base of everything this library raises on purpose."""


class LocalError(GossipError):
    """The caller or the configuration is wrong; no state was changed."""


class FaultCode(StrEnum):
    """SOAP 1.2 part 1 section 5.4.6."""

    VERSION_MISMATCH = "VersionMismatch"
    MUST_UNDERSTAND = "MustUnderstand"
    SENDER = "Sender"
    RECEIVER = "Receiver"


@dataclass(frozen=True, slots=True)
class Fault:
    """A SOAP 1.2 fault as data. `subcode` is always namespace-qualified; `detail` is one XML element or empty.
    `subsubcode`: the subcode of the subcode, where a specification defines one (WS-Addressing does)."""

    code: FaultCode
    subcode: QName
    reason: str
    detail: bytes = b""
    subsubcode: QName | None = None


class RemoteError(GossipError):
    """What came from the other side is wrong; no state was changed. `fault` says it in SOAP."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.reason)
        self.fault = fault


def sender_fault(local_name: str, reason: str, *, namespace: str = GOSSIP) -> RemoteError:
    """A RemoteError blaming the sender, its subcode in `namespace`."""
    return RemoteError(Fault(FaultCode.SENDER, qname(namespace, local_name), reason))


def receiver_fault(local_name: str, reason: str, *, namespace: str = GOSSIP) -> RemoteError:
    """A RemoteError blaming this side (busy, internal), its subcode in `namespace`."""
    return RemoteError(Fault(FaultCode.RECEIVER, qname(namespace, local_name), reason))
