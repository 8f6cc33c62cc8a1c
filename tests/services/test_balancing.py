"""The Balance service of one device: every message of consensus as an element and back, and what is left, summed."""

from __future__ import annotations

from dataclasses import is_dataclass, replace
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gossip_ws.consensus import messages
from gossip_ws.consensus.card import Card
from gossip_ws.consensus.clusters import LARGEST
from gossip_ws.consensus.log import AgreementId
from gossip_ws.consensus.messages import NEVER, Board, Gather, Line, Propose, Report
from gossip_ws.consensus.trust import Sealed
from gossip_ws.consensus.vector import Vector
from gossip_ws.filters.combiner import FilterCombiner
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.errors import Fault, FaultCode, RemoteError
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import BALANCE, GOSSIP, qname
from gossip_ws.kernel.terms import Filter
from gossip_ws.ports import Combination, Input, Invocation, Reply
from gossip_ws.services.balance_messages import MAX_NAME, MAX_PERIODS, MAX_TOLD, sealed_element
from gossip_ws.services.balancing import Reported, Residual, balance_service, reports_in
from gossip_ws.wire.envelope import Addressing, build
from gossip_ws.wire.values import base64

KINDS = get_args(messages.Message)
CARD = Card("urn:d", 65_536, Address.parse("soap.udp://127.0.0.1:9/Balance"), Address.parse("http://[::1]:9/Balance"))
PROPOSE = Propose(AgreementId("urn:d/1.0"), 3, (200, 0, -1), 1)


class State:
    def __init__(self, left: Residual | None = None) -> None:
        self.heard: list[tuple[Sealed, tuple[Card, ...]]] = []
        self.days: list[int | None] = []
        self.reported: Reported | None = None
        self._left = left

    def told(self, sealed: Sealed, cards: Any) -> None:
        self.heard.append((sealed, tuple(cards)))

    def asked(self, sealed: Sealed) -> Reported | None:
        self.heard.append((sealed, ()))
        return self.reported

    def residual(self, day: int | None) -> Residual | None:
        self.days.append(day)
        return self._left


def test_each_kind_of_message_has_an_operation_of_its_name_and_nothing_else_has() -> None:
    names = {operation.name for operation in balance_service(State()).operations.values()}
    assert names == {kind.__name__ for kind in KINDS} | {"GetResidual"}


def names() -> st.SearchStrategy[str]:
    # A schema's string has the characters of XML, and no lone surrogate is one.
    characters = st.characters(min_codepoint=0x20, exclude_categories=("Cs",), exclude_characters="\ufffe\uffff")
    return st.text(characters, min_size=1, max_size=MAX_NAME)


def schedules() -> st.SearchStrategy[tuple[int, ...]]:
    return st.lists(st.integers(-MAX_TOLD, MAX_TOLD), min_size=1, max_size=MAX_PERIODS).map(tuple)


counts = st.integers(-1, (1 << 63) - 1)


def built(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a message's dataclass, in the bounds of the wire."""
    fields: dict[str, st.SearchStrategy[Any]] = {}
    for name, hint in get_type_hints(kind).items():
        if hint is int:
            fields[name] = counts
        elif hint is str or hint is AgreementId:
            fields[name] = names()
        elif hint == Vector:
            fields[name] = schedules()
        elif is_dataclass(hint):
            fields[name] = built(hint)
        else:
            fields[name] = st.lists(built(hint.__args__[0]), max_size=3).map(tuple)
    return st.builds(kind, **fields)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not Gather], ids=lambda kind: kind.__name__)
def test_a_message_arrives_as_it_was_sent(kind: Any, ask: Any) -> None:
    @given(
        built(kind),
        names(),
        names(),
        st.integers(0, 1 << 60),
        st.binary(max_size=64),
        st.lists(st.just(CARD), max_size=3),
    )
    def there_and_back(message: Any, sender: str, to: str, stamp: int, signature: bytes, cards: list[Card]) -> None:
        state = State()
        sealed = Sealed(sender, to, message, signature, stamp)
        outcome = ask(balance_service(state), kind.__name__, sealed_element(sealed, cards))
        assert outcome == Reply(b"")
        assert state.heard == [(sealed, tuple(cards))]

    there_and_back()


def test_who_is_asked_answers_with_a_report_that_arrives_as_if_it_had_been_told(ask: Any) -> None:
    state = State()
    gather = Sealed("urn:s", "street", Gather("street", 3), b"sig", 7)
    report = Sealed("urn:d", "urn:s", Report("street", "nano", 3, 9, (200, 0, -1), NEVER), b"own", 8)
    state.reported = Reported((200, 0, -1), report, (CARD,))
    outcome = ask(balance_service(state), "Gather", sealed_element(gather))
    row = next(etree.fromstring(outcome.body).iter(f"{{{BALANCE}}}Reported"))
    assert [int(one.text) for one in row.iter(f"{{{BALANCE}}}gives")] == [200, 0, 0]
    assert [int(one.text) for one in row.iter(f"{{{BALANCE}}}needs")] == [0, 0, 1]
    (told_so,) = reports_in(outcome.body)
    ask(balance_service(state), "Report", told_so)
    assert state.heard == [(gather, ()), (report, (CARD,))]


def test_who_has_nothing_to_say_answers_with_no_report(ask: Any) -> None:
    outcome = ask(balance_service(State()), "Gather", sealed_element(Sealed("urn:s", "c", Gather("c", 3), b"")))
    assert reports_in(outcome.body) == []


@pytest.mark.parametrize("junk", ["", "<a", f'<a xmlns="{BALANCE}"><report>no base64!</report></a>'])
def test_an_answer_that_is_none_is_refused(junk: str) -> None:
    with pytest.raises(RemoteError):
        reports_in(junk.encode())


def test_of_one_answer_no_more_reports_are_read_than_a_cluster_has_children() -> None:
    many = "<report>YQ==</report>" * (LARGEST + 9)
    assert reports_in(f'<a xmlns="{BALANCE}">{many}</a>'.encode()) == [b"a"] * LARGEST


def test_a_card_says_at_least_one_address_and_may_be_signed(ask: Any) -> None:
    state = State()
    cards = [replace(CARD, udp=None, signature=b"s" * 64), replace(CARD, http=None)]
    ask(balance_service(state), "Propose", sealed_element(Sealed("a", "b", PROPOSE, b""), cards))
    assert state.heard[0][1] == tuple(cards)


def told(message: Any, cards: Any = ()) -> str:
    return sealed_element(Sealed("urn:d", "urn:e", message, b"sig"), cards).decode()


LINE = Line("c", "urn:d", (1,), NEVER)


@pytest.mark.parametrize(
    ("element", "old", "new", "subcode"),
    [
        (told(PROPOSE), "200 0 -1", "", (GOSSIP, "InvalidPayload")),
        (told(PROPOSE), "200 0 -1", "200 0.5", (GOSSIP, "InvalidPayload")),
        (told(PROPOSE), "200 0 -1", "200  1", (GOSSIP, "InvalidPayload")),
        (told(PROPOSE), "200 0 -1", "٣", (GOSSIP, "InvalidPayload")),
        (told(PROPOSE), "200 0 -1", " ".join(["1"] * 97), (BALANCE, "BadMessage")),
        (told(PROPOSE), "200 0 -1", "64000000001", (BALANCE, "BadMessage")),
        (told(PROPOSE), "200 0 -1", "9" * 5000, (GOSSIP, "InvalidPayload")),
        (told(PROPOSE), "<b:day>3</b:day>", "", (GOSSIP, "InvalidPayload")),
        (told(PROPOSE), "<b:day>3</b:day>", "<b:day>-2</b:day>", (GOSSIP, "InvalidPayload")),
        (told(PROPOSE), "<b:day>3</b:day>", f"<b:day>{1 << 63}</b:day>", (GOSSIP, "InvalidPayload")),
        (told(PROPOSE), "urn:d/1.0", "x" * 256, (GOSSIP, "InvalidPayload")),
        (told(PROPOSE), ">urn:e<", "><", (GOSSIP, "InvalidPayload")),
        (told(Board(1, "c", 0, (LINE,) * LARGEST)), "</b:said>", "</b:said>", None),
        (told(Board(1, "c", 0, (LINE,) * (LARGEST + 1))), "", "", (GOSSIP, "InvalidPayload")),
        (told(PROPOSE, [CARD]), "soap.udp://127.0.0.1:9", "ftp://h", (BALANCE, "BadMessage")),
        (told(PROPOSE, [CARD]), "soap.udp://", "http://", (BALANCE, "BadMessage")),
        (told(PROPOSE, [replace(CARD, udp=None, http=None)]), "", "", (BALANCE, "BadMessage")),
        (told(PROPOSE, [CARD] * (LARGEST + 2)), "", "", (GOSSIP, "InvalidPayload")),
        (told(PROPOSE), "c2ln", base64(bytes(65)), (BALANCE, "BadMessage")),
        (told(PROPOSE, [replace(CARD, signature=bytes(65))]), "", "", (BALANCE, "BadMessage")),
    ],
)
def test_what_is_out_of_bounds_is_the_senders_fault(
    element: str, old: str, new: str, subcode: tuple[str, str] | None, ask: Any
) -> None:
    state = State()
    assert old in element
    name = etree.fromstring(element).tag.partition("}")[2]
    outcome = ask(balance_service(state), name, element.replace(old, new).encode())
    if subcode is None:
        assert outcome == Reply(b"")
        return
    assert isinstance(outcome, Fault)
    assert (outcome.code, outcome.subcode) == (FaultCode.SENDER, qname(*subcode)), outcome.reason
    assert state.heard == []


@given(st.binary(max_size=200), st.integers(0, 10_000), st.integers(0, 40))
def test_junk_in_an_element_is_refused_or_heard_and_never_raises(junk: bytes, at: int, length: int) -> None:
    whole = told(Report("c", "d", 0, 1, (5, 6), NEVER), [CARD]).encode()
    at %= len(whole)
    hosted = balance_service(State())
    operation = hosted.operations[f"{BALANCE}:Report"]
    frame = build(Addressing(operation.action, "urn:m", "urn:t"), whole[:at] + junk + whole[at + length :])
    outcomes: list[Any] = []
    try:
        hosted.invoke(Invocation(operation, frame, "", Instant(0.0, 0.0)), outcomes.append)
    except RemoteError:
        raise AssertionError("a fault is an outcome") from None
    (outcome,) = outcomes
    assert isinstance(outcome, Reply) or outcome.code is FaultCode.SENDER


# -- what is left ------------------------------------------------------------------------------

LEFT = Residual((9, 0), (0, 7), (4, 0), (0, 3), (1, 0), (0, 2), (5, 0), (0, 4))
FIELDS = ("could", "wanted", "sold", "bought", "soldBeyond", "boughtBeyond", "gives", "needs")


def rows(body: bytes) -> list[dict[str, tuple[int, ...]]]:
    return [
        {field: tuple(int(one.text or "") for one in row.iter(qname(BALANCE, field))) for field in FIELDS}
        for row in etree.fromstring(body).iter(qname(BALANCE, "Residual"))
    ]


def residual(ask: Any, state: State, day: str = "") -> bytes:
    outcome = ask(balance_service(state), "GetResidual", f'<GetResidual xmlns="{BALANCE}">{day}</GetResidual>'.encode())
    assert isinstance(outcome, Reply)
    return outcome.body


def test_what_is_left_is_told_period_by_period(ask: Any) -> None:
    state = State(LEFT)
    assert rows(residual(ask, state, "<day>4</day>")) == [
        dict(zip(FIELDS, ((9, 0), (0, 7), (4, 0), (0, 3), (1, 0), (0, 2), (5, 0), (0, 4)), strict=True))
    ]
    residual(ask, state)
    assert state.days == [4, None]


def test_who_has_no_schedule_gives_no_row(ask: Any) -> None:
    assert rows(residual(ask, State())) == []


def test_what_devices_have_left_adds_up_by_period(ask: Any) -> None:
    combiner = FilterCombiner(None)
    shape = balance_service(State()).operations[f"{BALANCE}:GetResidual"].shape
    combiner.check(Filter(name="sum"), shape)
    found: list[Combination | Fault] = []
    own = Input(residual(ask, State(LEFT)), 1, own=True)
    combiner.combine(Filter(name="sum"), shape, (own,), False, found.append)
    below = found.pop()
    assert isinstance(below, Combination), below
    inputs = (own, *(Input(below.value, 1, own=False) for _ in range(2)))
    combiner.combine(Filter(name="sum"), shape, inputs, True, found.append)
    whole = found.pop()
    assert isinstance(whole, Combination), whole
    (row,) = rows(whole.value)
    assert not whole.refused
    assert (row["could"], row["boughtBeyond"], row["needs"]) == ((27, 0), (0, 6), (0, 12))
