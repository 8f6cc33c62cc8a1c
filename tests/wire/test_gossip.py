"""The codec: what is sealed is what arrives, whoever passed it on, and what does not read is the sender's fault."""

from __future__ import annotations

import re
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from gossip_ws.core.messages import (
    Ack,
    Advert,
    Content,
    Digest,
    Fetch,
    Gossip,
    Hop,
    Merge,
    Message,
    Partial,
    Ping,
    Prune,
    Receipt,
    Signature,
    Standing,
    Tally,
)
from gossip_ws.kernel.address import Binding
from gossip_ws.kernel.errors import Fault, FaultCode, LocalError, RemoteError
from gossip_ws.kernel.names import GOSSIP, SOAP12, WSA, DeviceId, GossipId, QName, qname
from gossip_ws.kernel.terms import Budget, Filter, Priority, Style, Terms, Tier, Variant, Wanted
from gossip_ws.wire.envelope import MAX_ENVELOPE, Addressing, build, canonical, parse
from gossip_ws.wire.gossip import HEADROOM, XmlCodec, decode_report, decode_wanted, encode_report, encode_wanted

ACTION = "urn:gossip-ws:2026:tariff:SetTariff"
KEY = "0123456789abcdef0123456789abcdef"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
SENDER = DeviceId("urn:uuid:6e6cf0b4-11de-4f8a-9f24-3b1f6a1f0001")
BODY = b'<t:Set xmlns:t="urn:t"><t:Price>12.5</t:Price></t:Set>'
TERMS = Terms(
    variant=Variant.EAGER_PUSH,
    style=Style.ONE_WAY,
    binding=Binding.UDP,
    priority=Priority.NORMAL,
    budgets=(Budget(Tier.WAN, 9, 4), Budget(Tier.FAN, 3, 2)),
    types=(qname("urn:gossip-ws:2026:grid", "SmartMeter"),),
    scopes=("grid://city/ssc-3",),
    originator=KEY,
    issued=1_790_000_000.123456,
    expires=1_790_003_600.5,
)
HOP = Hop(SENDER, Tier.FAN, 2, 3, 0.041)


def unsigned(_: GossipId) -> Signature | None:
    return None


def signed(id: GossipId) -> Signature:
    return Signature(KEY, id + id)


def content(terms: Terms = TERMS, body: bytes = BODY, action: str = ACTION) -> Content:
    return XmlCodec().seal(action, terms, body, signed)


def frame(hop: Hop = HOP, sealed: Content | None = None) -> bytes:
    return XmlCodec().encode(Gossip(sealed or content(), hop))


def gossip(octets: bytes) -> Gossip:
    message = XmlCodec().decode(octets)
    assert isinstance(message, Gossip)
    return message


def refused(octets: bytes) -> Fault:
    with pytest.raises(RemoteError) as caught:
        XmlCodec().decode(octets)
    return caught.value.fault


def subcode(octets: bytes) -> str:
    return refused(octets).subcode


# What may stand in XML: no control characters, no surrogates.
words = st.text(st.characters(min_codepoint=32, exclude_categories=("Cs", "Cn", "Co")), min_size=1, max_size=20).filter(
    lambda word: word == word.strip() and word.isprintable()
)
milliseconds = st.integers(0, 604_800_000).map(lambda ms: ms / 1000)
devices = words.map(DeviceId)
filters = st.one_of(
    st.none(),
    st.builds(lambda name, key: Filter(name=name, group_by=key), words, st.one_of(st.just(""), words)),
    words.map(lambda word: Filter(stylesheet=f"<xsl:stylesheet>{word}\r\n<![CDATA[")),
)
spreads = st.integers(0, 65_535)
terms = st.builds(
    Terms,
    variant=st.sampled_from(Variant),
    style=st.sampled_from(Style),
    binding=st.sampled_from(Binding),
    priority=st.sampled_from(Priority),
    budgets=st.lists(st.builds(Budget, st.sampled_from(Tier), spreads, spreads), unique_by=lambda b: b.tier).map(tuple),
    types=st.lists(st.sampled_from([qname("urn:x-y", "A"), QName("Plain")]), max_size=8).map(tuple),
    scopes=st.lists(words, max_size=8).map(tuple),
    originator=words,
    issued=st.integers(0, 4_000_000_000_000_000).map(lambda us: us / 1_000_000),
    expires=st.just(0.0),
    filter=filters,
    min_replies=st.integers(0, 10**9),
    timeout=milliseconds,
    min_group=st.integers(1, 10**9),
    latest=st.booleans(),
    one_hop=st.booleans(),
).flatmap(
    lambda made: st.integers(1_000, 604_799_000_000).map(
        lambda us: replace(
            made,
            expires=(round(made.issued * 1_000_000) + us) / 1_000_000,
            one_hop=made.one_hop and made.style is Style.ONE_WAY,
        )
    )
)


@settings(max_examples=60, deadline=None)
@given(terms, st.data())
def test_a_gossip_arrives_as_it_was_sent(made: Terms, data: st.DataObject) -> None:
    sealed = XmlCodec().seal(ACTION, made, BODY, data.draw(st.sampled_from([signed, unsigned])))
    assert sealed.terms == made
    tier = data.draw(st.sampled_from(Tier))
    hop = Hop(
        data.draw(devices),
        tier,
        data.draw(st.integers(0, made.budget(tier).rounds)),
        data.draw(spreads),
        data.draw(milliseconds),
        data.draw(milliseconds),
        tuple(data.draw(st.lists(devices, max_size=12))),
        data.draw(st.booleans()),
    )
    message = Gossip(sealed, hop)
    codec = XmlCodec()
    octets = codec.encode(message)
    assert codec.decode(octets) == message
    # The second copy is remembered, not read: it has to come out the same.
    assert codec.decode(octets) == message


@settings(max_examples=40, deadline=None)
@given(terms)
def test_the_forward_path_is_a_fixpoint(made: Terms) -> None:
    first = frame(sealed=XmlCodec().seal(ACTION, replace(made, budgets=TERMS.budgets), BODY, signed))
    relayed = gossip(first)
    again = gossip(XmlCodec().encode(relayed._replace(hop=relayed.hop._replace(rounds=1, hops=4))))
    assert again.content == relayed.content


def test_both_ways_of_reading_a_hop_agree() -> None:
    """A hop as devices write it is read without a tree; any other, for the same meaning, with one."""
    hop = Hop(SENDER, Tier.FAN, 1, 2, 3.25, 4.5, (DeviceId("urn:a"), DeviceId("urn:b")), True)
    plain = frame(hop)
    other = plain.replace(b"<g:Hop ", b"<g:Hop  ").replace(b"</s12:Envelope>", b"\n</s12:Envelope>")
    assert plain != other
    assert gossip(plain) == gossip(other)
    assert gossip(plain).hop == hop


# The gossip id.


def reframed(sealed: Content) -> bytes:
    """The same fixed part as another stack would frame it: other prefixes, white space, order, no hop."""
    envelope = etree.fromstring(frame(sealed=sealed))
    blocks = {block.tag: block for block in envelope[0]}
    fixed = etree.tostring(blocks[qname(GOSSIP, "Terms")], method="c14n", exclusive=True)
    body = etree.tostring(envelope[1][0], method="c14n", exclusive=True, inclusive_ns_prefixes=["xs"])
    return b"".join(
        (
            b"<?xml version='1.0' encoding='utf-8'?>\n<!-- hello -->\n",
            f'<e:Envelope xmlns:e="{SOAP12}" xmlns:unused="urn:u"><e:Header>\n'.encode(),
            fixed,
            f'\n <a:Action xmlns:a="{WSA}" e:mustUnderstand="true"> {sealed.action} </a:Action>\n'.encode(),
            b"</e:Header>\n<e:Body>\n",
            body,
            b"\n</e:Body></e:Envelope>",
        )
    )


def test_the_id_is_what_the_document_says() -> None:
    sealed = content()
    fixed = re.search(rb"<g:Terms.*</g:Terms>", sealed.sealed)
    assert fixed is not None
    digest = sha256(b"gossip-ws 1\n")
    for part in (ACTION.encode(), fixed.group(), BODY):
        digest.update(len(part).to_bytes(8, "big") + part)
    assert sealed.id == digest.digest()


def test_the_framing_does_not_change_the_id() -> None:
    sealed = XmlCodec().seal(ACTION, TERMS, BODY, unsigned)
    again = gossip(reframed(sealed)).content
    assert again == sealed


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"12.5", b"12.50"),
        (b"SetTariff", b"SetTarif"),
        (b'Fanout="9"', b'Fanout="8"'),
        (b"ssc-3", b"ssc-4"),
        (b'Priority="2"', b'Priority="1"'),
        (b"<t:Price>", b"<t:Price> "),
        (b'xmlns:t="urn:t"', b'xmlns:t="urn:u"'),
        (b".123456Z", b".123457Z"),
        (KEY.encode(), KEY[::-1].encode()),
    ],
)
def test_any_change_of_what_is_fixed_changes_the_id(old: bytes, new: bytes) -> None:
    octets = frame()
    assert old in octets
    assert gossip(octets.replace(old, new)).content.id != content().id


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_no_flipped_octet_of_the_fixed_part_keeps_the_id(data: st.DataObject) -> None:
    octets = bytearray(frame(sealed=XmlCodec().seal(ACTION, TERMS, BODY, unsigned)))
    start = octets.index(b"<wsa:Action")
    end = octets.index(b"</s12:Body>")
    # The frame's own tags are not content, and Terms need not declare what the Envelope does.
    place = data.draw(
        st.integers(start, end - 1).filter(
            lambda at: not re.search(rb"</?(wsa|s12):|wsd:Id|xmlns:wsd", bytes(octets[max(at - 40, start) : at + 40]))
        )
    )
    octets[place] ^= data.draw(st.sampled_from([1, 2, 4, 8, 16]))
    try:
        message = XmlCodec().decode(bytes(octets))
    except RemoteError:
        return
    assert message is None or (isinstance(message, Gossip) and message.content.id != content().id)


def test_names_in_content_keep_their_namespace() -> None:
    body = (
        b'<t:Set xmlns:t="urn:t" xmlns:xs="urn:schema" xmlns:unused="urn:u"'
        b' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        b'<t:V xsi:type="xs:int">1</t:V><t:Q xmlns:q="urn:q">q:name other:name</t:Q></t:Set>'
    )
    sealed = content(body=body)
    assert b'Prefixes="q xs"' in sealed.sealed
    for octets in (frame(sealed=sealed), frame(sealed=gossip(frame(sealed=sealed)).content)):
        found = gossip(octets).content
        assert found == sealed
        element = etree.fromstring(found.body)
        assert element.nsmap["xs"] == "urn:schema"
        assert element[1].nsmap["q"] == "urn:q"
        assert b"unused" not in found.body


def test_an_unprefixed_type_keeps_its_namespace_or_is_refused() -> None:
    body = f'<%s xmlns:t="urn:t" xmlns="urn:d" xmlns:xsi="{XSI}" xsi:type="Kind"/>'
    found = gossip(frame(sealed=content(body=(body % "Set").encode()))).content
    assert etree.fromstring(found.body).nsmap[None] == "urn:d"
    with pytest.raises(RemoteError):
        content(body=(body % "t:Set").encode())


def test_a_body_that_borrows_a_prefix_of_another_envelope_is_refused() -> None:
    """Passed on, `wsa` would mean something else: the id would change under way."""
    sealed = XmlCodec().seal(ACTION, TERMS, b'<t:Set xmlns:t="urn:t">wsa:To</t:Set>', unsigned)
    prefixed = reframed(sealed).replace(b'MinGroup="1"', b'MinGroup="1" Prefixes="wsa"')
    assert refused(prefixed).subcode == qname(GOSSIP, "Malformed")
    declared = prefixed.replace(b"<t:Set ", f'<t:Set xmlns:wsa="{WSA}" '.encode())
    found = gossip(declared).content
    assert gossip(frame(sealed=found)).content == found


def test_an_empty_body_gossips_too() -> None:
    assert gossip(frame(sealed=content(body=b""))).content.body == b""


# The entry.


def test_content_from_a_client_stands_at_the_start_of_its_first_budget() -> None:
    message = gossip(reframed(content()))
    assert message.hop == Hop(DeviceId(""), Tier.WAN, 4, 0, 0.0)
    none = content(replace(TERMS, budgets=()))
    assert gossip(reframed(none)).hop.rounds == 0


def test_what_would_not_fit_with_a_hop_is_loud_at_the_origin() -> None:
    with pytest.raises(RemoteError) as caught:
        content(body=b'<t:Set xmlns:t="urn:t">%b</t:Set>' % (b"x" * (MAX_ENVELOPE - HEADROOM)))
    assert caught.value.fault.subcode == qname(GOSSIP, "TooLarge")
    padding = b"<t:Set xmlns:t='urn:t'>%b</t:Set>" % (b"x" * (MAX_ENVELOPE - HEADROOM - 700))
    assert subcode(reframed(content()).replace(BODY, padding)) == qname(GOSSIP, "TooLarge")


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"budgets": (Budget(Tier.WAN, 1, 1),) * 9}, "TooMany"),
        ({"budgets": (Budget(Tier.WAN, 1, 1),) * 2}, "Malformed"),
        ({"types": (QName("A"),) * 9}, "TooMany"),
        ({"scopes": ("a:b",) * 9}, "TooMany"),
        ({"filter": Filter(stylesheet="x" * 8_193)}, "FilterTooLarge"),
        ({"filter": Filter(name="sum", group_by="x" * 65)}, "Malformed"),
        ({"expires": TERMS.issued + 604_801}, "LifetimeTooLong"),
        ({"expires": TERMS.issued}, "Malformed"),
        ({"min_group": 0}, "Malformed"),
        ({"style": Style.REQUEST_RESPONSE, "one_hop": True}, "Malformed"),
        ({"originator": ""}, "Malformed"),
    ],
)
def test_impossible_terms_are_refused_at_the_origin(change: dict[str, object], name: str) -> None:
    with pytest.raises(RemoteError) as caught:
        content(replace(TERMS, **change))
    assert caught.value.fault.subcode == qname(GOSSIP, name)


def test_a_body_that_is_no_element_is_the_callers_error() -> None:
    with pytest.raises(LocalError):
        content(body=b"<a/><b/>")


def test_what_is_no_signature_is_not_sent() -> None:
    for bad in (Signature("somebody", b"x" * 64), Signature(KEY, b"x")):
        with pytest.raises(LocalError):
            XmlCodec().seal(ACTION, TERMS, BODY, lambda _, bad=bad: bad)


# What comes from the network.

NOT_A_NUMBER = ["-1", "+1", "1e3", "0x1", " 1", "1_0", "", "many", "99999999999999999999", "\u0663", "\u00b2"]
NUMBERS = ["Fanout", "Rounds", "Hops", "AgeMs", "MinReplies", "TimeoutMs", "MinGroup", "Priority"]


@pytest.mark.parametrize("value", NOT_A_NUMBER)
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_is_digits_within_bounds(name: str, value: str) -> None:
    octets = re.sub(f'{name}="[0-9]+"', f'{name}="{value}"', frame().decode(), count=1).encode()
    assert subcode(octets) == qname(GOSSIP, "Malformed")


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        (b'Tier="fan" Rounds="2"', b'Tier="fan" Rounds="3"', "OverBudget"),
        (b'Tier="fan" Rounds="2"', b'Tier="han" Rounds="1"', "OverBudget"),
        (b'Tier="fan" Rounds="2"', b'Tier="fan"  Rounds="3"', "OverBudget"),
        (b'Tier="fan" Rounds="2"', b'Tier="moon" Rounds="2"', "Malformed"),
        (f'Sender="{SENDER}"'.encode(), b"", "Malformed"),
        (f'Sender="{SENDER}"'.encode(), b'Sender=""', "Malformed"),
        (f'Sender="{SENDER}"'.encode(), b'Sender="%b"' % (b"x" * 257), "Malformed"),
        (b"</g:Hop>", b"<g:Ancestor>urn:a</g:Ancestor>" * 13 + b"</g:Hop>", "TooMany"),
        (b"</g:Hop>", b"<g:Ancestor></g:Ancestor></g:Hop>", "Malformed"),
        (b"</g:Hop>", b"<g:Other/></g:Hop>", "Malformed"),
        (b' Hops="3"', b' Hops="3" Extra="1"', "Malformed"),
        (b' Hops="3"', b' Hops="3" Receipt="maybe"', "Malformed"),
        (b'Variant="eager-push"', b'Variant="lazy"', "Malformed"),
        (b'Variant="eager-push"', b"", "Malformed"),
        (b'Variant="eager-push"', b'Variant="eager-push" Zeal="9"', "Malformed"),
        (b'wsd:Id="T"', b'wsd:Id="U"', "Malformed"),
        (b'wsd:Id="T"', b'wsd:Id="T" Prefixes="%b"' % b" ".join([b"a"] * 17), "TooMany"),
        (b'wsd:Id="T"', b'wsd:Id="T" Prefixes="a:b"', "Malformed"),
        (b".123456Z", b".123456", "Malformed"),
        (b".123456Z", b"+01:00", "Malformed"),
        (b'Issued="2026-09-', b'Issued="2026-13-', "Malformed"),
        (b'Issued="2026-', b'Issued="2027-', "Malformed"),
        (b'Issued="2026-', b'Issued="2025-', "LifetimeTooLong"),
        (b"<g:Scope>", b"<g:Scope><x/>", "Malformed"),
        (b"<g:Scope>", b"<g:Unknown/><g:Scope>", "Malformed"),
        (b"<g:Type>{", b"<g:Type>{{", "Malformed"),
        (b"<g:Scope>", b"<g:Filter></g:Filter><g:Scope>", "Malformed"),
        (b"<g:Scope>", b'<g:Filter Name="sum">x</g:Filter><g:Scope>', "Malformed"),
        (b"<g:Scope>", b'<g:Filter Name="sum"/><g:Filter Name="sum"/><g:Scope>', "Malformed"),
        (b"<g:Scope>", b"<g:Filter>%b</g:Filter><g:Scope>" % (b"x" * 8_193), "FilterTooLarge"),
        (b":ed25519", b":rot13", "Malformed"),
        (b'Refs="A T B"', b'Refs="A B"', "Malformed"),
        (b'KeyId="', b'KeyId="x', "Malformed"),
        (b' Sig="', b' Sig="=', "Malformed"),
        (b' Sig="', b' Sig="AAAA', "Malformed"),
        (b"</wsd:Security>", b"<wsd:Sig/></wsd:Security>", "Malformed"),
        (b"<wsa:Action", b"<wsa:Faction", "Malformed"),
        (b"</s12:Header>", b'<g:Hop xmlns:g="urn:gossip-ws:2026"/></s12:Header>', "DuplicateHeader"),
        (b"</s12:Header>", b'<g:Terms xmlns:g="urn:gossip-ws:2026"/></s12:Header>', "DuplicateHeader"),
        (b"</s12:Header>", b"<wsd:Security/></s12:Header>", "DuplicateHeader"),
        (b"<t:Price>", b"<t:Price", "Malformed"),
        (b"<s12:Envelope", b"<!DOCTYPE x [<!ENTITY e 'x'>]><s12:Envelope", "Malformed"),
        (b"</s12:Body>", b"<x/></s12:Body>", "Malformed"),
    ],
)
def test_what_does_not_read_is_the_senders_fault(old: bytes, new: bytes, name: str) -> None:
    octets = frame()
    assert old in octets
    fault = refused(octets.replace(old, new, 1))
    assert (fault.code, fault.subcode) == (FaultCode.SENDER, qname(GOSSIP, name))


def test_a_bomb_of_entities_is_refused() -> None:
    bomb = b"<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'>" + b"".join(
        b"<!ENTITY %c '%b'>" % (98 + i, (b"&%c;" % (97 + i)) * 10) for i in range(9)
    )
    assert subcode(frame().replace(b"<s12:Envelope", bomb + b"]><s12:Envelope a='&j;'")) == qname(GOSSIP, "Malformed")


def test_size_is_looked_at_first() -> None:
    assert subcode(b"<" * (MAX_ENVELOPE + 1)) == qname(GOSSIP, "TooLarge")
    assert subcode(frame() + b" " * MAX_ENVELOPE) == qname(GOSSIP, "TooLarge")


@pytest.mark.parametrize("octets", [b"", b"\0\0", b"GET / HTTP/1.1\r\n\r\n", b"\xff\xfe<\0a\0/\0>\0"])
def test_junk_is_refused(octets: bytes) -> None:
    assert refused(octets).code in (FaultCode.SENDER, FaultCode.VERSION_MISMATCH)


def test_what_must_be_understood_and_is_not_is_refused() -> None:
    unknown = b'<x:Odd xmlns:x="urn:x" s12:mustUnderstand="%b"%b/></s12:Header>'
    assert refused(frame().replace(b"</s12:Header>", unknown % (b"true", b""))).code is FaultCode.MUST_UNDERSTAND
    assert gossip(frame().replace(b"</s12:Header>", unknown % (b"false", b""))).hop == HOP
    elsewhere = unknown % (b"1", b' s12:role="urn:somebody-else"')
    assert gossip(frame().replace(b"</s12:Header>", elsewhere)).hop == HOP


def test_a_forged_copy_is_not_taken_for_the_one_remembered() -> None:
    codec = XmlCodec()
    octets = codec.encode(Gossip(content(), HOP))
    first = codec.decode(octets)
    forged = codec.decode(octets.replace(b"12.5", b"99.9"))
    assert isinstance(first, Gossip)
    assert isinstance(forged, Gossip)
    assert forged.content.id != first.content.id
    assert codec.decode(octets) == first
    with pytest.raises(RemoteError):
        codec.decode(octets.replace(b'Rounds="2"', b'Rounds="3"', 1))


def test_the_memory_is_bounded() -> None:
    codec = XmlCodec()
    for number in range(60):
        body = b'<t:Set xmlns:t="urn:t">%b%d</t:Set>' % (b"x" * 20_000, number)
        codec.decode(codec.encode(Gossip(codec.seal(ACTION, TERMS, body, unsigned), HOP)))
    assert sum(map(len, codec._contents)) == codec._remembered <= 512 * 1024


# Between nodes.

ABOUT = GossipId(bytes(range(32)))
counts = st.integers(0, 1_000_000)
tallies = st.builds(lambda c, m, f, late, u: Tally(c, c + m + f + late + u, m, f, late, u), *[counts] * 5)
digests = st.binary(min_size=8, max_size=8)
faults = st.builds(
    Fault,
    st.sampled_from(FaultCode),
    st.just(qname("urn:f", "TooFew")),
    words,
    st.sampled_from([b"", b"<d>x</d>"]),
)
ids = st.binary(min_size=32, max_size=32).map(GossipId)
between = st.one_of(
    st.builds(Receipt, ids, devices, st.sampled_from(Standing)),
    st.builds(
        Partial,
        ids,
        devices,
        tallies,
        st.sampled_from([b"", BODY]),
        st.lists(digests, max_size=256).map(tuple),
        st.none(),
    ),
    st.builds(Partial, ids, devices, tallies, st.just(b""), st.just(()), faults),
    st.builds(Merge, ids, devices, st.sampled_from([b"", BODY]), st.booleans()),
    st.builds(
        Partial,
        ids,
        devices,
        tallies,
        st.just(BODY),
        st.just(()),
        st.none(),
        st.sampled_from([(SENDER,), (SENDER,) * 2]),
    ),
    st.builds(Digest, devices, st.lists(digests, max_size=30).map(tuple)),
    st.builds(Advert, devices, st.sampled_from(Variant), st.lists(digests, max_size=64).map(tuple)),
    st.builds(Fetch, devices, st.lists(digests, max_size=64).map(tuple), st.booleans()),
    st.builds(Prune, devices),
    st.builds(Ping, devices, st.binary(min_size=1, max_size=64)),
    st.builds(Ack, devices, st.binary(min_size=1, max_size=64)),
)


@settings(max_examples=80, deadline=None)
@given(between)
def test_what_nodes_say_arrives_as_it_was_sent(message: Message) -> None:
    assert XmlCodec().decode(XmlCodec().encode(message)) == message


def test_the_value_of_a_partial_keeps_the_names_in_it() -> None:
    value = canonical(etree.fromstring(f'<v xmlns:xs="urn:schema" xmlns:xsi="{XSI}" xsi:type="xs:int">1</v>'), ("xs",))
    message = Partial(ABOUT, SENDER, Tally(1, 1), value)
    assert XmlCodec().decode(XmlCodec().encode(message)) == message


@pytest.mark.parametrize(
    ("message", "old", "new", "name"),
    [
        (Receipt(ABOUT, SENDER, Standing.TAKEN), b'Standing="taken"', b'Standing="stolen"', "Malformed"),
        (Receipt(ABOUT, SENDER, Standing.TAKEN), ABOUT.hex().encode(), b"00", "Malformed"),
        (Receipt(ABOUT, SENDER, Standing.TAKEN), b"2026:about", b"2026:other", "Malformed"),
        (Receipt(ABOUT, SENDER, Standing.TAKEN), b"<g:Receipt", b"<g:Digest", "Malformed"),
        (Partial(ABOUT, SENDER, Tally(1, 1), BODY), b'Contributors="1"', b'Contributors="-1"', "Malformed"),
        (Partial(ABOUT, SENDER, Tally(1, 1), BODY), b'Contributors="1"', b'Contributors="2"', "Malformed"),
        (Partial(ABOUT, SENDER, Tally(1, 1), BODY), b"<g:Value>", b"<g:Value><x/>", "Malformed"),
        (Partial(ABOUT, SENDER, Tally(1, 1), BODY), b"<g:Value>", b"<g:Odd/><g:Value>", "Malformed"),
        (Partial(ABOUT, SENDER, Tally(1, 1), BODY, (b"12345678",)), b'Cover="', b'Cover="AAAA', "Malformed"),
        (Partial(ABOUT, SENDER, Tally(1, 1), BODY, (b"x" * 8,) * 257), b"g:Value", b"g:Value", "TooMany"),
        (Partial(ABOUT, SENDER, Tally(1, 1), BODY, bypassing=(SENDER,) * 3), b"g:Value", b"g:Value", "TooMany"),
        (Advert(SENDER, Variant.LAZY_PUSH, ()), b"lazy-push", b"crazy-push", "Malformed"),
        (Advert(SENDER, Variant.LAZY_PUSH, (b"x" * 8,) * 65), b"Ids", b"Ids", "TooMany"),
        (Fetch(SENDER, (b"x" * 8,), True), b'Graft="true"', b'Graft="yes"', "Malformed"),
        (Fetch(SENDER, (b"x" * 8,)), b'Ids="', b'Ids="AAAA', "Malformed"),
        (Ping(SENDER, b"nonce"), b'Nonce="', b'Nonce="\xc3\xa4', "Malformed"),
        (Ping(SENDER, b"x" * 65), b"Nonce", b"Nonce", "Malformed"),
        (Ping(SENDER, b"nonce"), b"Nonce=", b"Once=", "Malformed"),
        (Merge(ABOUT, SENDER, BODY), b"<g:Value>", b"<g:Value><x/>", "Malformed"),
        (Merge(ABOUT, SENDER, BODY), b"<g:Value>", b"<g:Odd/><g:Value>", "Malformed"),
        (Merge(ABOUT, SENDER, BODY, True), b'Reply="true"', b'Reply="maybe"', "Malformed"),
        (Merge(ABOUT, SENDER, BODY), b":about", b":above", "Malformed"),
        (Digest(SENDER, (b"x" * 8,)), b"Sender=", b"Ender=", "Malformed"),
    ],
)
def test_what_nodes_do_not_say_is_refused(message: Message, old: bytes, new: bytes, name: str) -> None:
    octets = XmlCodec().encode(message)
    assert old in octets
    # Start and end tags change together.
    assert subcode(octets.replace(old, new).replace(old.replace(b"<", b"</"), new.replace(b"<", b"</"))) == qname(
        GOSSIP, name
    )


def test_a_hop_without_terms_is_malformed() -> None:
    octets = re.sub(rb"<g:Terms.*</g:Terms>", b"", frame())
    assert subcode(octets) == qname(GOSSIP, "Malformed")


@pytest.mark.parametrize("action", [ACTION, f"{GOSSIP}:Unheard", "urn:x", f"{GOSSIP}:peers:Register"])
def test_what_is_no_gossip_is_none(action: str) -> None:
    assert XmlCodec().decode(build(Addressing(action), BODY)) is None


# What callers and clients say.

wanteds = terms.flatmap(
    lambda made: st.builds(
        Wanted,
        variant=st.one_of(st.none(), st.sampled_from(Variant)),
        binding=st.one_of(st.none(), st.sampled_from(Binding)),
        priority=st.one_of(st.none(), st.sampled_from(Priority)),
        budgets=st.just(made.budgets),
        types=st.just(made.types),
        scopes=st.just(made.scopes),
        filter=st.just(made.filter),
        lifetime=st.one_of(st.none(), st.integers(1, 604_800_000).map(lambda ms: ms / 1000)),
        min_replies=st.one_of(st.none(), st.integers(0, 10**9)),
        timeout=st.one_of(st.none(), milliseconds),
        min_group=st.one_of(st.none(), st.integers(1, 10**9)),
    )
)


@settings(max_examples=60, deadline=None)
@given(wanteds)
def test_what_a_caller_wants_arrives(wanted: Wanted) -> None:
    assert decode_wanted(parse(build(Addressing(ACTION), BODY, encode_wanted(wanted)))) == wanted


def test_a_caller_may_want_nothing() -> None:
    assert decode_wanted(parse(build(Addressing(ACTION), BODY))) is None


@pytest.mark.parametrize(
    "block",
    [
        b'LifetimeMs="0"', b'LifetimeMs="-1"', b'MinGroup="0"', b'Variant="x"', b'Fanout="3"', b'Issued="now"',
        b'Priority="-1"', b'Priority="9"', b'TimeoutMs="999999999999"',
    ],
)  # fmt: skip
def test_a_caller_who_wants_nonsense_is_told(block: bytes) -> None:
    octets = build(Addressing(ACTION), BODY, b'<g:Wanted xmlns:g="urn:gossip-ws:2026" %b/>' % block)
    with pytest.raises(RemoteError):
        decode_wanted(parse(octets))


@settings(max_examples=20, deadline=None)
@given(ids, tallies)
def test_the_report_says_what_the_answer_is_worth(about: GossipId, tally: Tally) -> None:
    assert decode_report(parse(build(Addressing("urn:r"), BODY, encode_report(about, tally)))) == (about, tally)


def test_a_reply_without_a_report_says_nothing() -> None:
    assert decode_report(parse(build(Addressing("urn:r"), BODY))) is None
