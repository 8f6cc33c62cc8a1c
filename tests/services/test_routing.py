"""The Routing service of one device: statements in, gradients out, and how those of many are combined."""

from __future__ import annotations

from importlib import resources
from typing import Any

import pytest
from lxml import etree

from gossip_ws.filters.combiner import FilterCombiner
from gossip_ws.filters.runner import BlockingRunner
from gossip_ws.kernel.errors import Fault
from gossip_ws.kernel.names import ROUTING, qname
from gossip_ws.kernel.terms import Filter
from gossip_ws.ports import Combination, Input, Reply
from gossip_ws.routing.cost import delay
from gossip_ws.routing.graph import Link
from gossip_ws.services.routing import MAX_SAID, Said, gradients_element, name, routing_service

ONE = Said(1.25, bytes(range(180)))
LONG = Said(0.0, bytes(900))


class State:
    def __init__(self, *links: tuple[Link, float, float], gap: float = 0.0) -> None:
        self.said: list[Said] = []
        self._links = links
        self._gap = gap

    def heard(self, said: Any) -> None:
        self.said += said

    def links(self) -> Any:
        return self._links

    def gap(self) -> float:
        return self._gap


def rows(body: bytes) -> list[tuple[str, ...]]:
    fields = ("link", "capacity", "load", "cost", "gap")
    found = etree.fromstring(body).iter(qname(ROUTING, "Gradient"))
    return [tuple(row.findtext(qname(ROUTING, field)) or "" for field in fields) for row in found]


def gradients(ask: Any, state: State) -> bytes:
    outcome = ask(routing_service(state), "GetGradients", f'<GetGradients xmlns="{ROUTING}"/>'.encode())
    assert isinstance(outcome, Reply)
    return outcome.body


def test_statements_arrive_as_they_were_signed(ask: Any) -> None:
    state = State()
    assert isinstance(ask(routing_service(state), "Gradients", gradients_element([ONE, LONG])), Reply)
    assert state.said == [ONE, LONG]


@pytest.mark.parametrize(
    ("told", "instead"),
    [
        ("<said>AAAE4gABAg", "<said>?AAE4gABAg"),
        ("<said>AAAE4gABAg", "<told/><said>AAAE4gABAg"),
        ("<said>AAAE4gABAg", "<said><x/>AAAE4gABAg"),
    ],
)
def test_what_is_no_statement_is_refused(told: str, instead: str, ask: Any) -> None:
    state = State()
    element = gradients_element([ONE]).decode()
    assert told in element
    outcome = ask(routing_service(state), "Gradients", element.replace(told, instead).encode())
    assert isinstance(outcome, Fault)
    assert state.said == []


def test_what_is_too_short_for_an_age_is_said_of_nothing(ask: Any) -> None:
    state = State()
    body = f'<Gradients xmlns="{ROUTING}"><said>AAA=</said><said/></Gradients>'.encode()
    assert isinstance(ask(routing_service(state), "Gradients", body), Reply)
    assert [one.signed for one in state.said] == [b"", b""]


def test_more_than_fits_is_refused(ask: Any) -> None:
    state = State()
    assert isinstance(ask(routing_service(state), "Gradients", gradients_element([ONE] * (MAX_SAID + 1))), Fault)
    assert state.said == []


def test_the_own_links_with_their_cost_and_the_gap_once(ask: Any) -> None:
    state = State(((0, 1), 10.0, 5.0), ((0, 2), 10.0, 0.0), gap=0.25)
    assert [tuple(map(float, row[1:])) for row in rows(gradients(ask, state))] == [(10, 5, 1, 0.25), (10, 0, 0, 0)]
    assert [row[0] for row in rows(gradients(ask, state))] == [name((0, 1)), name((0, 2))] == ["0>1", "0>2"]


def test_a_device_without_links_gives_no_row(ask: Any) -> None:
    assert rows(gradients(ask, State(gap=3.0))) == []


def combined(filter: Filter, bodies: list[bytes], runner: BlockingRunner) -> bytes:
    """Over two levels: the last is the parent of all others."""
    shape = routing_service(State()).operations[f"{ROUTING}:GetGradients"].shape
    combiner = FilterCombiner(runner)
    combiner.check(filter, shape)
    found: list[Combination | Fault] = []
    partials = []
    for body in bodies[:-1]:
        combiner.combine(filter, shape, (Input(body, 1, own=True),), False, found.append)
        one = found.pop()
        assert isinstance(one, Combination)
        partials.append(one.value)
    inputs = (Input(bodies[-1], 1, own=True), *(Input(value, 1, own=False) for value in partials))
    combiner.combine(filter, shape, inputs, True, found.append)
    whole = found.pop()
    assert isinstance(whole, Combination), whole
    assert not whole.refused
    return whole.value


@pytest.fixture(scope="module")
def runner() -> Any:
    one = BlockingRunner()
    yield one
    one.close()


def test_summed_they_are_the_cost_and_the_gap_of_all(ask: Any, runner: BlockingRunner) -> None:
    states = [State(((node, 9), 40.0, 3.0 * node), gap=0.5 * node) for node in range(4)]
    (total,) = rows(combined(Filter(name="sum"), [gradients(ask, state) for state in states], runner))
    assert float(total[3]) == pytest.approx(sum(delay(3.0 * node, 40.0) for node in range(4)))
    assert float(total[4]) == pytest.approx(3.0)


def test_the_stylesheet_keeps_the_ten_fullest_of_all(ask: Any, runner: BlockingRunner) -> None:
    """Among them a failed link, which has no capacity at all."""
    stylesheet = (resources.files("gossip_ws.wsdl") / "most-congested.xslt").read_text()
    loads = {(node, other): 1.0 + (7 * node + 3 * other) % 31 for node in range(4) for other in range(4, 10)}
    states = [State(*((link, 40.0, kb) for link, kb in loads.items() if link[0] == node)) for node in range(4)]
    states.append(State(((4, 5), 0.0, 0.5)))
    found = rows(combined(Filter(stylesheet=stylesheet), [gradients(ask, state) for state in states], runner))
    fullest = sorted(loads.values(), reverse=True)[:9]
    assert found[0][0] == "4>5"
    assert [float(row[2]) for row in found[1:]] == fullest
