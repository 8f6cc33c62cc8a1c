"""WS-Discovery 1.1 as DPWS 1.1 profiles it: what a target service says of itself, and whom it answers."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from statistics import median
from typing import Final

from gossip_ws.conform.evidence import Evidence
from gossip_ws.conform.matching import (
    both_rules,
    resolving,
    rfc3986,
    scopes_match,
    silence,
    strcmp0,
    takes_probes,
    types_match,
    unknown_rule,
)
from gossip_ws.conform.reading import Message, app_sequence, match, matches
from gossip_ws.conform.rule import Check, Finding, Group, Level, Rule, Source, failed, not_applicable, passed
from gossip_ws.conform.udp_rules import unheard
from gossip_ws.dpws.messages import ADHOC
from gossip_ws.kernel.names import DEVICE, WSD, qname

_APP_MAX_DELAY: Final = 2.5
_INTEROP_DELAY: Final = 4.0
_LATE: Final = 0.5
"""Seconds that a busy device may add to its random wait."""
_AT_ONCE: Final = 0.02
"""Seconds: half of several waits at random up to 2.5 s are never as short."""


def none_of(why: str) -> Check:
    """A rule that cannot be judged from here."""

    def check(seen: Evidence) -> Finding:
        return not_applicable(why)

    return check


def multicast(seen: Evidence) -> Finding:
    if seen.no_multicast:
        return not_applicable(seen.no_multicast)
    if not seen.sources():
        return failed("no answer to a Probe, nor to a Resolve, by multicast; is the device behind a router?")
    return passed("answers a Probe or a Resolve by multicast")


def unicast_matches(seen: Evidence) -> Finding:
    answers = [answer for name in seen.udp for answer in seen.own(name)]
    if not answers:
        return unheard(seen)
    expected = {f"{WSD}/ProbeMatches", f"{WSD}/ResolveMatches"}
    for answer in answers:
        action = answer.message.action if answer.message is not None else ""
        if action not in expected:
            return failed(f"a datagram with the action {action or 'none'} answers")
    return passed(f"{len(answers)} datagrams, to the asker alone")


def target_service(seen: Evidence) -> Finding:
    directed = seen.http.get("directed")
    if seen.sources() or (directed is not None and directed.message is not None and matches(directed.message)):
        return passed("a Probe is answered")
    return failed("no Probe is answered, whether by multicast or by HTTP")


def hosted_services(seen: Evidence) -> Finding:
    if not seen.services or not seen.sources():
        return not_applicable("no hosted service, or no answer by datagram")
    hosted = {service.address for service in seen.services} - {seen.device}
    for question in seen.udp.values():
        for answer in question.answers:
            for one in answer.matches:
                if one.epr in hosted:
                    return failed(f"the hosted service {one.epr} answers a Probe")
    return passed("no hosted service answers a Probe")


# -- announcements ---------------------------------------------------------------------------------

_UNSEEN: Final = "none was seen; restart the device while --listen waits"


def hello(seen: Evidence) -> Finding:
    hellos = [one.message for one in seen.announcements if one.is_hello]
    if not hellos:
        return not_applicable(f"Hello: {_UNSEEN}")
    for message in hellos:
        if message.action != f"{WSD}/Hello" or message.values("To") != [ADHOC] or not message.message_id:
            return failed("a Hello lacks its Action, its To or its MessageID")
        if message.payload is None or match(message.payload).version is None:
            return failed("a Hello has no MetadataVersion")
    return passed(f"{len(hellos)} heard")


def _restarts(seen: Evidence) -> list[Message]:
    """Hellos of another run than the answers are of; a Hello of the same run is a late one, or tells of a change."""
    answers = [answer.message for name in seen.udp for answer in seen.own(name)]
    found = [app_sequence(message) for message in answers if message is not None]
    before = {sequence.instance_id for sequence in found if sequence is not None}
    hellos = ((one.message, app_sequence(one.message)) for one in seen.announcements if one.is_hello)
    return [message for message, app in hellos if app is not None and before and app.instance_id not in before]


def bye(seen: Evidence) -> Finding:
    if byes := sum(not one.is_hello for one in seen.announcements):
        return passed(f"{byes} heard")
    return failed("the device was restarted without a Bye") if _restarts(seen) else not_applicable(f"Bye: {_UNSEEN}")


def restart(seen: Evidence) -> Finding:
    payloads = [message.payload for message in _restarts(seen)]
    versions = {match(payload).version for payload in payloads if payload is not None} - {None}
    before = {one.version for name in seen.udp for one in seen.own_matches(name)} - {None}
    if not versions or not before:
        return not_applicable(f"a restart: {_UNSEEN}")
    if versions - before:
        return failed(f"MetadataVersion was {_numbers(before)}, and after the restart {_numbers(versions)}")
    return passed(f"the same endpoint reference, and MetadataVersion {_numbers(versions)}, as before")


def _numbers(numbers: Iterable[int | None]) -> str:
    return " ".join(sorted("none" if number is None else str(number) for number in numbers))


# -- answers ---------------------------------------------------------------------------------------


def delays(seen: Evidence) -> Finding:
    found = _delays(seen)
    if not found:
        return unheard(seen)
    told = f"{1000 * min(found):.0f} to {1000 * max(found):.0f} ms after the request"
    if max(found) > _APP_MAX_DELAY + _LATE:
        return failed(f"{told}; APP_MAX_DELAY is 2,500 ms")
    if len(found) > 3 and median(found) < _AT_ONCE:
        return failed(f"{told}: no random wait")
    return passed(told)


def _delays(seen: Evidence) -> list[float]:
    """Seconds to the first answer to each question that was sent once or more in the one examination."""
    firsts = []
    for name, question in seen.udp.items():
        if own := seen.own(name):
            firsts.append(min(answer.at for answer in own) - question.at)
    return firsts


def soon(seen: Evidence) -> Finding:
    found = _delays(seen)
    if not found:
        return unheard(seen)
    told = f"at the latest after {1000 * max(found):.0f} ms"
    return passed(told) if max(found) <= _INTEROP_DELAY else failed(f"{told}; Windows waits 4 s")


def versions(seen: Evidence) -> Finding:
    told = seen.told()
    if not told:
        return unheard(seen)
    if any(one.version is None for one in told):
        return failed("a match has no MetadataVersion that is an unsigned integer")
    return passed(f"MetadataVersion {_numbers({one.version for one in told})}")


def unchanged(seen: Evidence) -> Finding:
    told = {one.version for one in seen.told() if one.version is not None}
    if not told:
        return not_applicable("no MetadataVersion was told")
    if len(told) > 1:
        return failed(f"MetadataVersion went through {_numbers(told)}, though nothing had changed")
    return passed(f"{_numbers(told)} throughout; whether it grows with a change cannot be seen from outside")


# -- by HTTP ---------------------------------------------------------------------------------------


def directed(seen: Evidence) -> Finding:
    exchange = seen.http["directed"]
    return passed(str(exchange)) if takes_probes(seen) else failed(f"a Probe by HTTP: {exchange}")


def directed_match(seen: Evidence) -> Finding:
    message = seen.http["directed"].message
    if message is None or not takes_probes(seen):
        return not_applicable("Probes by HTTP are not taken (R1015)")
    found = matches(message)
    if len(found) != 1 or (found[0].epr and found[0].epr != seen.device):
        return failed(f"{len(found)} matches, not the device alone")
    return passed("a Probe for anything finds the device")


def directed_miss(seen: Evidence) -> Finding:
    exchange = seen.http["directed_miss"]
    if not takes_probes(seen):
        return not_applicable("Probes by HTTP are not taken (R1015)")
    message = exchange.message
    if message is None or not message.holds(qname(WSD, "ProbeMatches")):
        return failed(f"a Probe for a type that there is not: {exchange}")
    found = matches(message)
    return failed(f"{len(found)} matches for a type that there is not") if found else passed("empty ProbeMatches")


# -- AppSequence -----------------------------------------------------------------------------------


def sequences(seen: Evidence) -> Finding:
    told = [(name, answer.message) for name in seen.udp for answer in seen.own(name) if answer.message is not None]
    heard = [one.message for one in seen.announcements]
    if not told:
        return unheard(seen)
    # By HTTP, in managed mode, it is not needed; but what is there is counted.
    for name in ("directed", "directed_miss"):
        message = seen.http[name].message
        if message is not None and app_sequence(message) is not None:
            told.append((name, message))
    for message in (*(message for _, message in told), *heard):
        found = app_sequence(message)
        if found is None:
            return failed(f"no AppSequence in {message.action}")
        if found.instance_id is None or found.message_number is None:
            return failed("InstanceId or MessageNumber is no unsigned integer")
    return _in_order(told, heard)


def _in_order(told: list[tuple[str, Message]], announcements: list[Message]) -> Finding:
    """Answers with the name of their question: within one, a number that stands there twice is a copy's."""
    found = [(question, app) for question, message in told if (app := app_sequence(message)) is not None]
    instances = {app.instance_id for _, app in found}
    if len(instances) > 1:
        return failed(f"InstanceId changes from message to message: {_numbers(instances)}")
    heard = [app.instance_id for app in map(app_sequence, announcements) if app is not None]
    order = [instance for instance in (*instances, *heard) if instance is not None]
    if any(later < earlier for earlier, later in pairwise(order)):
        return failed(f"InstanceId went back at a restart: {' '.join(map(str, dict.fromkeys(order)))}")
    numbers: dict[tuple[str, int | None], str] = {}
    for question, app in found:
        if numbers.setdefault((app.sequence, app.message_number), question) != question:
            return failed(f"answers to two questions have the MessageNumber {app.message_number}")
    return passed(f"InstanceId {_numbers(instances)}, {len(numbers)} different MessageNumbers")


# -- addresses -------------------------------------------------------------------------------------


def addresses(seen: Evidence) -> Finding:
    told = seen.told()
    if not told:
        return unheard(seen)
    if not any(one.xaddrs for one in told):
        return failed("neither a match nor the answer to a Resolve tells an address")
    return passed(" ".join(next(one.xaddrs for one in told if one.xaddrs)))


def schemes(seen: Evidence) -> Finding:
    uris = {uri for one in seen.told() for uri in one.xaddrs}
    if not uris:
        return not_applicable("no address is told")
    found = {uri.partition(":")[0].lower() for uri in uris}
    if found - {"http", "https"} or len(found) > 1:
        return failed(f"addresses of the schemes {' '.join(sorted(found))}")
    return passed(" ".join(sorted(found)))


def device_type(seen: Evidence) -> Finding:
    told = [one.types for one in seen.told() if one.types]
    if not told:
        return not_applicable("no types are told")
    if any(DEVICE not in types for types in told):
        return failed("types without dpws:Device")
    return passed("dpws:Device among them")


def _rule(id: str, level: Level, source: Source, text: str, check: Check) -> Rule:
    return Rule(id, Group.DISCOVERY, level, source, text, check)


_MUST, _SHOULD, _MAY = Level.MUST, Level.SHOULD, Level.MAY
_CLIENTS: Final = none_of("a rule for clients")

RULES: Final = (
    _rule("R1013", _MUST, Source.MICROSOFT, "A device is a target service: it answers Probes.", target_service),
    _rule("R1001", _SHOULD, Source.MICROSOFT, "A hosted service is no target service.", hosted_services),
    _rule("R1009", _MUST, Source.MICROSOFT, "Probe and Resolve are taken by multicast.", multicast),
    _rule("R1016", _MUST, Source.MICROSOFT, "Matches go to the asker by unicast UDP.", unicast_matches),
    _rule("R1018", _MAY, Source.MICROSOFT, "A multicast request with a reply address of its own may be ignored.",
          none_of("either is allowed")),
    _rule("R1019", _MUST, Source.MICROSOFT, "The matching rules rfc3986 and strcmp0 are supported.", both_rules),
    _rule("R1020", _MUST, Source.MICROSOFT, "Types, where there are any, include dpws:Device.", device_type),
    _rule("R1015", _MUST, Source.MICROSOFT, "A Probe by HTTP to the device's address is taken.", directed),
    _rule("R1021", _MUST, Source.MICROSOFT, "A directed Probe that matches is answered with a match.", directed_match),
    _rule("R1022", _MUST, Source.MICROSOFT, "A directed Probe that does not match is answered with no match.",
          directed_miss),
    _rule("D1", _MUST, Source.SCHEMA, "Hello has the multicast To, a MessageID and a MetadataVersion.", hello),
    _rule("D2", _SHOULD, Source.ONVIF, "A device waits at random up to APP_MAX_DELAY before a match.", delays),
    _rule("D3", _SHOULD, Source.MEMORY, "A device that leaves says Bye.", bye),
    _rule("D4", _MUST, Source.SCENARIOS, "A restart changes neither endpoint reference nor MetadataVersion.", restart),
    _rule("D5", _MUST, Source.SCHEMA, "Each match has a MetadataVersion.", versions),
    _rule("D6", _MUST, Source.SCENARIOS, "A multicast request that does not match is met with silence.", silence),
    _rule("D8", _MUST, Source.SCHEMA, "A Resolve of the device is answered with one match, another's not.", resolving),
    _rule("D9", _MUST, Source.SCENARIOS, "Types are compared as names: all must be there, prefixes do not count.",
          types_match),
    _rule("D10", _MUST, Source.STACKS, "Each scope of a Probe has to match one of the device's.", scopes_match),
    _rule("D10a", _MUST, Source.SCENARIOS, "rfc3986 compares whole path segments and minds their case.", rfc3986),
    _rule("D10b", _MAY, Source.MEMORY, "The rule uuid.", none_of("DPWS does not ask for it")),
    _rule("D10c", _MAY, Source.MICROSOFT, "The rule ldap.", none_of("DPWS does not ask for it")),
    _rule("D10d", _MUST, Source.STACKS, "strcmp0 compares whole strings.", strcmp0),
    _rule("D10e", _MAY, Source.MEMORY, "The rule none.", none_of("DPWS does not ask for it")),
    _rule("D10f", _MUST, Source.SCHEMA, "An unknown matching rule is refused by HTTP, ignored by multicast.",
          unknown_rule),
    _rule("D11", _MUST, Source.MICROSOFT, "Each match has an AppSequence; each message its own number.", sequences),
    _rule("D12", _MUST, Source.MICROSOFT, "What is older than what is known is ignored.", _CLIENTS),
    _rule("D13", _MUST, Source.MICROSOFT, "MetadataVersion moves with the metadata and with nothing else.", unchanged),
    _rule("D14", _MUST, Source.STACKS, "Matches after MATCH_TIMEOUT are discarded.", _CLIENTS),
    _rule("D15", _MUST, Source.MICROSOFT, "Matches, or the answer to a Resolve, tell transport addresses.", addresses),
    _rule("D16", _SHOULD, Source.MICROSOFT, "Addresses are http or https, not both.", schemes),
    _rule("D17", _SHOULD, Source.MEMORY, "A discovery proxy suppresses multicast.", none_of("a rule for proxies")),
    _rule("D18", _SHOULD, Source.SCHEMA, "A discovery proxy takes HTTP.", none_of("a rule for proxies")),
    _rule("D19", _MAY, Source.SCHEMA, "Compact signatures.", none_of("optional, and no key is known here")),
    _rule("D20", _SHOULD, Source.MICROSOFT, "Answers come within 4 s.", soon),
)  # fmt: skip
