"""How discovery behaves, as one value."""

from __future__ import annotations

from dataclasses import dataclass

from gossip_ws.dpws.messages import Generation
from gossip_ws.kernel.errors import LocalError


@dataclass(frozen=True, slots=True)
class DiscoveryConfig:
    """Times are seconds. The defaults are those of DPWS 1.1 where it names one."""

    app_max_delay: float = 2.5
    """APP_MAX_DELAY: a Hello and the answer to a multicast request wait at random up to this, so that a
    power cut's end is no storm. Smaller finds faster and collides more."""
    match_timeout: float = 10.0
    """MATCH_TIMEOUT: how long answers to a Probe or Resolve are taken. Must be more than `app_max_delay`."""
    announce: tuple[Generation, ...] = (Generation.OASIS,)
    """In which generations Hello and Bye are said. Each costs a message; both are found by whoever only listens.
    Requests are answered in the one in which they are asked, whatever stands here."""
    pending: int = 64
    """Answers one device may have waiting at a time. With `app_max_delay` it caps what a flood of Probes with
    forged sources can draw: 64 in 2.5 s."""
    answers: int = 32
    """Answers a second to requests that came to one device alone by a datagram. Their source may be forged, and each
    answer, up to 4 KB, is sent twice: this caps what they draw."""
    dp_max_timeout: float = 5.0
    """DP_MAX_TIMEOUT: a discovery proxy that has not answered a request by then is silent, and the group is asked."""
    refresh: float = 100.0
    """A device says Hello to the proxy it was told of so often, give or take a tenth: one that was down, or has
    restarted, knows it again then."""
    remembered: int = 4096
    """Message ids kept to recognise copies; the oldest is forgotten first. It must hold what arrives while a sender
    repeats itself (0.45 s)."""
    known: int = 2048
    """Devices a seeker remembers; forgotten first are those that left, then those unheard of for longest."""
    probes: int = 16
    """Probes a seeker may have open."""
    resolves: int = 16
    """Resolves a seeker may have open; entries without addresses beyond that are dropped."""
    sequence_memory: float = 600.0
    """How long after the last accepted message a device's AppSequence and MetadataVersion guard against older ones.
    Nothing in them is signed: were it for ever, one forged huge InstanceId would lock a device out for ever."""

    def __post_init__(self) -> None:
        if not 0 <= self.app_max_delay < self.match_timeout:
            raise LocalError("app_max_delay must be at least 0 and less than match_timeout")
        if not 0 < self.dp_max_timeout <= self.match_timeout or self.refresh <= 0:
            raise LocalError("dp_max_timeout and refresh are times, the first at most match_timeout")
        if not self.announce or len(set(self.announce)) < len(self.announce):
            raise LocalError("a device says Hello in one generation at least, and once in each")
        if min(self.pending, self.answers, self.remembered, self.known, self.probes, self.resolves) < 1:
            raise LocalError("every bound of discovery must be at least 1")
        if self.sequence_memory < self.match_timeout:
            raise LocalError("sequence_memory must be at least match_timeout")
