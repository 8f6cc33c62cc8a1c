"""SOAP-over-UDP 1.1 with the constants of DPWS 1.1: copies, gaps, message ids, sizes."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from statistics import median
from typing import Final

from gossip_ws.conform.datagrams import Answer
from gossip_ws.conform.evidence import Evidence
from gossip_ws.conform.reading import app_sequence
from gossip_ws.conform.rule import Finding, Group, Level, Rule, Source, failed, not_applicable, passed
from gossip_ws.dpws.repetition import UDP_MAX_DELAY, UDP_MIN_DELAY, UDP_UPPER_DELAY, UNICAST_UDP_REPEAT
from gossip_ws.wire.envelope import MAX_UDP_ENVELOPE

_EARLY: Final = 0.02
_LATE: Final = 0.2
"""Seconds by which a gap may look shorter or longer than it was made: a busy device sends late, a queue in the network
brings the first copy late."""
_MTU: Final = 1_472
"""Octets of a datagram that go unfragmented through Ethernet: 1,500 less the headers of IPv4 and UDP."""
_UNTOLD: Final = "copies of an answer cannot be told from answers (U2)"
UNHEARD: Final = "the device answered nothing by datagram"


def unheard(seen: Evidence) -> Finding:
    return not_applicable(seen.no_multicast or UNHEARD)


def _by_id(answers: list[Answer]) -> dict[str, list[Answer]]:
    found: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        if answer.message is not None:
            found[answer.message.message_id].append(answer)
    return found


def copies(seen: Evidence) -> Finding:
    if len(_by_id(seen.own("once"))) > 1:
        return not_applicable(_UNTOLD)
    sets = [copies for name in seen.udp for copies in _by_id(seen.own(name)).values()]
    if not sets:
        return unheard(seen)
    count, _ = Counter(len(copies) for copies in sets).most_common(1)[0]
    gaps = [[later.at - one.at for one, later in pairwise(copies)] for copies in sets]
    told = " ".join(f"{1000 * gap:.0f}" for gap in next((one for one in gaps if len(one) == count - 1), []))
    found = f"{count} copies" + (f", gaps {told} ms" if told else "")
    if count != 1 + UNICAST_UDP_REPEAT:
        return failed(f"{found}; {1 + UNICAST_UDP_REPEAT} are asked for")
    # The middle one: a single gap may have met a busy moment.
    if not UDP_MIN_DELAY - _EARLY <= median(one[0] for one in gaps if one) <= UDP_MAX_DELAY + _LATE:
        return failed(f"{found}; the first gap is {1000 * UDP_MIN_DELAY:.0f} to {1000 * UDP_MAX_DELAY:.0f} ms")
    if any(gap > UDP_UPPER_DELAY + _LATE for one in gaps for gap in one[1:]):
        return failed(f"{found}; no gap is above {1000 * UDP_UPPER_DELAY:.0f} ms")
    return passed(found)


def same_id(seen: Evidence) -> Finding:
    answers = seen.own("once")
    if not answers:
        return unheard(seen)
    ids = _by_id(answers)
    if len(ids) > 1:
        return failed(f"one Probe, sent once, was answered with {len(ids)} message ids")
    sequences = {app_sequence(answer.message) for answer in answers if answer.message is not None}
    if len(sequences) > 1:
        return failed("copies with one message id have different AppSequences")
    return passed(f"{len(answers)} copies, one message id")


def once(seen: Evidence) -> Finding:
    asked_once, asked_thrice = _by_id(seen.own("once")), _by_id(seen.own("thrice"))
    if not asked_once or not asked_thrice:
        return unheard(seen)
    if len(asked_once) > 1:
        return not_applicable(_UNTOLD)
    if len(asked_thrice) > 1:
        return failed(f"a Probe that came in three copies was answered {len(asked_thrice)} times")
    return passed("a Probe in three copies has one answer")


def to_the_source(seen: Evidence) -> Finding:
    sources = seen.sources()
    if not sources:
        return unheard(seen)
    return passed(f"answers come to the port that asked, from {', '.join(sorted(map(str, sources))[:3])}")


def relates(seen: Evidence) -> Finding:
    answers = [(seen.udp[name], answer) for name in seen.udp for answer in seen.own(name)]
    if not answers:
        return unheard(seen)
    for question, answer in answers:
        if answer.message is None or answer.message.relates_to != (question.message_id,):
            related = answer.message.relates_to if answer.message is not None else ()
            return failed(f"an answer relates to {' '.join(related) or 'nothing'}, not to the request")
    return passed(f"{len(answers)} datagrams relate to their requests")


def _largest(seen: Evidence) -> int:
    return max((len(answer.frame) for name in seen.udp for answer in seen.own(name)), default=0)


def envelope_size(seen: Evidence) -> Finding:
    largest = _largest(seen)
    if not largest:
        return unheard(seen)
    told = f"the largest answer has {largest} octets"
    return passed(told) if largest <= MAX_UDP_ENVELOPE else failed(f"{told}; at most {MAX_UDP_ENVELOPE} are taken")


def datagram_size(seen: Evidence) -> Finding:
    largest = _largest(seen)
    if not largest:
        return unheard(seen)
    told = f"the largest answer has {largest} octets"
    return passed(told) if largest <= _MTU else failed(f"{told}; Ethernet carries {_MTU} in one frame")


def junk(seen: Evidence) -> Finding:
    if seen.junk is None:
        return unheard(seen)
    sources = seen.sources()
    if any(answer.source in sources for answer in seen.junk.answers):
        return failed("a datagram that is no message was answered")
    if not seen.is_heard():
        return failed("after malformed datagrams the device answered nothing more")
    return passed("malformed datagrams are met with silence, and the next Probe with an answer")


def port(seen: Evidence) -> Finding:
    uris = [uri for one in seen.told() for uri in one.xaddrs if uri.lower().startswith("soap.udp:")]
    if not uris:
        return not_applicable("no soap.udp address is told")
    for uri in uris:
        if not uri.partition("://")[2].partition("/")[0].rpartition(":")[2].isdigit():
            return failed(f"{uri} has no port, and there is no default one")
    return passed(uris[0])


RULES: Final = (
    Rule(
        "U1",
        Group.UDP,
        Level.SHOULD,
        Source.STACKS,
        "A datagram is sent and repeated once, after 50 to 250 ms.",
        copies,
    ),
    Rule(
        "U2",
        Group.UDP,
        Level.MUST,
        Source.MICROSOFT,
        "All copies have the same MessageID and MessageNumber.",
        same_id,
    ),
    Rule("U3", Group.UDP, Level.SHOULD, Source.STACKS, "A MessageID that came before is not answered again.", once),
    Rule(
        "U4",
        Group.UDP,
        Level.MUST,
        Source.MICROSOFT,
        "An answer goes to the address and port that the request came from.",
        to_the_source,
    ),
    Rule("U5", Group.UDP, Level.MUST, Source.MICROSOFT, "An answer relates to the MessageID of its request.", relates),
    Rule("U6", Group.UDP, Level.SHOULD, Source.MEMORY, "No datagram exceeds MAX_UDP_ENVELOPE_SIZE.", envelope_size),
    Rule("R0029", Group.UDP, Level.SHOULD, Source.MICROSOFT, "No datagram exceeds one MTU.", datagram_size),
    Rule("U7", Group.UDP, Level.SHOULD, Source.MEMORY, "A malformed datagram is dropped, and that is all.", junk),
    Rule("U8", Group.UDP, Level.SHOULD, Source.MEMORY, "A soap.udp address names its port.", port),
)
