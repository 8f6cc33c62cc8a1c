"""What a seeker holds of each device that it has heard of, and whether a message is older than that.

Knows no request and no proxy, and sends nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gossip_ws.dpws.config import DiscoveryConfig
from gossip_ws.dpws.matching import Subject
from gossip_ws.dpws.messages import AppSequence, Target
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import DeviceId


@dataclass(slots=True)
class Record:
    """What is held of a device; `here` is False after its Bye, kept so that a late copy does not revive it. `heard`:
    monotonic seconds."""

    target: Target
    app: AppSequence | None
    heard: float
    here: bool = True
    subject: Subject = field(init=False)

    def __post_init__(self) -> None:
        self.subject = Subject.of(self.target)


class Known:
    """At most `config.known` devices: those that left make room first, then who was longest unheard of."""

    __slots__ = ("_config", "_held")

    def __init__(self, config: DiscoveryConfig) -> None:
        self._config = config
        # Insertion order is the order in which they were last heard of.
        self._held: dict[DeviceId, Record] = {}

    def __contains__(self, device: DeviceId) -> bool:
        """Is anything held of it, be it that it has left?"""
        return device in self._held

    def here(self) -> Iterator[Record]:
        """Of those that are here, the longest unheard of first."""
        return (record for record in self._held.values() if record.here)

    def get(self, device: DeviceId) -> Record | None:
        """Of a device that is here."""
        record = self._held.get(device)
        return record if record is not None and record.here else None

    def forget(self, device: DeviceId) -> None:
        """As if it had never been heard of; an unknown device is no error."""
        self._held.pop(device, None)

    def heard(self, target: Target, app: AppSequence | None, now: Instant) -> Target | None:
        """It is here. What is known of it now; None if the message is older than what is held."""
        record = self._held.get(target.device)
        if record is not None:
            if self._stale(record, app, target.metadata_version, now):
                return None
            target = _filled_in(target, app, record)
            app = app or record.app
        self._remember(Record(target, app, now.monotonic))
        return target

    def left(self, device: DeviceId, app: AppSequence | None, version: int | None, now: Instant) -> bool:
        """A device that is here has said Bye. False if the message is older than what is held."""
        record = self._held[device]
        if self._stale(record, app, version, now):
            return False
        self._remember(Record(record.target, app, now.monotonic, here=False))
        return True

    def _stale(self, record: Record, app: AppSequence | None, version: int | None, now: Instant) -> bool:
        """Was it sent before what is held (WS-Discovery 1.1 section 7)?"""
        if now.monotonic - record.heard > self._config.sequence_memory:
            return False
        older = version is not None and version < record.target.metadata_version
        held = record.app
        if app is None or held is None:
            return older
        if app.instance_id != held.instance_id:
            return app.instance_id < held.instance_id
        return older or (app.sequence == held.sequence and app.message_number <= held.message_number)

    def _remember(self, record: Record) -> None:
        device = record.target.device
        self._held.pop(device, None)
        if len(self._held) >= self._config.known:
            gone = (other for other, held in self._held.items() if not held.here)
            del self._held[next(gone, next(iter(self._held)))]
        self._held[device] = record


def _filled_in(target: Target, app: AppSequence | None, record: Record) -> Target:
    """The same metadata version of the same run: what this message leaves out, an earlier one told."""
    held = record.target
    same_run = app is None or record.app is None or app.instance_id == record.app.instance_id
    if not same_run or not record.here or held.metadata_version != target.metadata_version:
        return target
    return Target(
        target.device,
        target.types or held.types,
        target.scopes or held.scopes,
        target.xaddrs or held.xaddrs,
        target.metadata_version,
    )
