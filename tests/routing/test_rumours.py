"""What a node has to tell, to whom it is news, and when it rests."""

from __future__ import annotations

from gossip_ws.routing.rumours import CARRIED, Rumours
from gossip_ws.routing.statement import LinkState, Statement, octets


def statement(owner: int, seq: int = 1, load: float = 1.0) -> Statement:
    return Statement(owner, seq, (LinkState(99, 10.0, load, 1, 0.1),))


def rumours(nodes: int = 8) -> Rumours[str]:
    return Rumours(range(8), nodes)


def test_the_later_one_is_news_and_of_strangers_nothing() -> None:
    held = rumours()
    assert held.is_news(statement(1, 5))
    held.take(statement(1, 5), "five")
    assert not held.is_news(statement(1, 5))
    assert not held.is_news(statement(1, 4))
    assert held.is_news(statement(1, 6))
    assert not held.is_news(statement(8))


def test_it_is_told_ln_n_times_and_twice_more_and_then_rests() -> None:
    for nodes, times in ((1, 3), (8, 5), (30, 6), (1000, 9)):
        held = rumours(nodes)
        held.take(statement(1), "one")
        assert [held.tell() for _ in range(times + 2)] == [["one"]] * times + [[], []]


def test_who_tells_it_back_spares_a_message_but_not_who_tells_another() -> None:
    held = rumours()
    held.take(statement(1), "one")
    # Told back before it was told: from one side only, perhaps.
    for _ in range(9):
        assert not held.is_news(statement(1))
    assert [held.tell() for _ in range(2)] == [["one"], ["one"]]
    # Of the same number but not the same: whoever made that, it is no sign that somebody has this one.
    assert not held.is_news(statement(1, load=2.0))
    for _ in range(2):
        assert not held.is_news(statement(1))
    assert [held.tell() for _ in range(2)] == [["one"], []]


def test_what_was_told_least_comes_first_then_what_has_changed_most() -> None:
    held = rumours()
    for owner in range(4):
        held.take(statement(owner), f"{owner} once")
    assert len(held.tell()) == 4
    for owner, load in ((1, 1.5), (2, 3.0), (0, 1.0)):
        held.take(statement(owner, 2, load), f"{owner} anew")
    assert held.tell() == ["2 anew", "1 anew", "0 anew", "3 once"]


def test_what_has_no_room_is_told_next_and_one_always_is() -> None:
    held: Rumours[str] = Rumours(range(8), 8, 2 * (CARRIED + octets(statement(1))))
    for owner, links in ((1, 2), (2, 1), (3, 1), (4, 50)):
        for seq in (1, 2):
            said = tuple(LinkState(99 + to, 10.0, seq * float(owner), 1, 0.1) for to in range(links))
            held.take(Statement(owner, seq, said), str(owner))
    assert [held.tell() for _ in range(4)] == [["4"], ["3", "2"], ["1"], ["4"]]
