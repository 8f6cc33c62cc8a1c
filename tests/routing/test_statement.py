"""Statements of owners: their octets, and when one is made."""

from __future__ import annotations

import struct
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip_ws.routing.peer import GradientReport
from gossip_ws.routing.statement import KEEP, MOST_LINKS, LinkState, Speaker, Statement, decode, encode

kb = st.floats(0, 1e9, width=32)
states = st.builds(LinkState, st.integers(1, 999), kb, kb, st.integers(0, 1000), kb)
links = st.lists(states, max_size=MOST_LINKS, unique_by=lambda one: one.to)
ONE = Statement(3, 7, (LinkState(5, 16.0, 4.0, 2, 0.5), LinkState(6, 0.0, 1.0, 1, 0.0)))


@given(st.integers(1, 2**63 - 1), links)
def test_a_statement_is_read_as_it_was_written(seq: int, links: list[LinkState]) -> None:
    made = Statement(0, seq, tuple(links))
    assert decode(encode(made)) == made


@given(st.binary(max_size=900))
def test_any_octets_are_a_statement_or_none(octets: bytes) -> None:
    try:
        found = decode(octets)
    except ValueError:
        return
    assert encode(found) == octets


def link(*fields: float) -> bytes:
    return struct.pack(">HQB", 3, 7, 1) + struct.pack(">HffHf", *fields)


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        encode(ONE)[:-1],
        encode(ONE) + b"\0",
        struct.pack(">HQB", 1000, 7, 0),
        struct.pack(">HQB", 3, 0, 0),
        struct.pack(">HQB", 3, 2**63, 0),
        link(5, nan, 4.0, 2, 0.5),
        link(5, 16.0, nan, 2, 0.5),
        link(5, 16.0, inf, 2, 0.5),
        link(5, -1.0, 4.0, 2, 0.5),
        link(5, 16.0, 2e9, 2, 0.5),
        link(3, 16.0, 4.0, 2, 0.5),
        link(1000, 16.0, 4.0, 2, 0.5),
        link(5, 16.0, 4.0, 1001, 0.5),
        link(5, 16.0, 4.0, 2, nan),
        link(5, 16.0, 4.0, 2, -0.5),
        link(5, 16.0, 4.0, 2, 2e9),
        link(5, 16.0, 4.0, 2, 0.5)[:-4],
        encode(Statement(3, 7, ONE.links[:1] * 2)),
        encode(Statement(3, 7, tuple(LinkState(to, 1.0, 1.0, 1, 0.5) for to in range(10, 75)))),
    ],
)
def test_junk_is_no_statement(junk: bytes) -> None:
    with pytest.raises(ValueError, match=r"size|fields|link|ends"):
        decode(junk)


def test_it_tells_a_peer_of_each_link() -> None:
    assert ONE.reports(12.5) == (
        GradientReport((3, 5), 7, 12.5, 16.0, 4.0, 2, 0.5),
        GradientReport((3, 6), 7, 12.5, 0.0, 1.0, 1, None),
    )


@pytest.mark.parametrize(
    ("now", "change"),
    [
        (LinkState(5, 16.0, 4.0, 9, 0.5), 0.0),
        (LinkState(5, 16.0, 2.0, 2, 0.5), 0.125),
        (LinkState(5, 16.0, 4.0, 2, 0.25), 0.05),
        (LinkState(5, 15.0, 4.0, 2, 0.5), inf),
        (LinkState(9, 16.0, 4.0, 2, 0.5), inf),
    ],
)
def test_a_change_is_a_share_of_the_capacity(now: LinkState, change: float) -> None:
    assert Statement(3, 8, (now, ONE.links[1])).change(ONE) == change
    assert ONE.change(None) == inf


def test_it_is_said_when_it_changes_and_every_so_often() -> None:
    speaker = Speaker(3, 100)

    def said(load: float) -> bool:
        return speaker.is_due(speaker.measured([LinkState(5, 100.0, load, 1, 0.5)]))

    assert speaker.measured([]).seq == 101
    assert said(50.0)
    assert not said(50.9)
    # By little each time, but since it was said it is more.
    assert said(51.5)
    assert [said(51.5) for _ in range(2 * KEEP)] == ([False] * (KEEP - 1) + [True]) * 2


def test_who_finds_a_later_one_of_its_own_goes_on_above_it() -> None:
    speaker = Speaker(3)
    first = speaker.measured([LinkState(5, 1.0, 0.0, 0, 0.5)])
    assert speaker.is_due(first)
    speaker.surpass(0)
    assert not speaker.is_due(speaker.measured(first.links))
    speaker.surpass(900)
    again = speaker.measured(first.links)
    assert again.seq == 901
    assert speaker.is_due(again)
