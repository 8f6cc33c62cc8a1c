"""The vendor's one line: it attaches policies and changes nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import zeep
from lxml import etree

from gossip_ws.kernel.contract import GossipPolicy
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.terms import Priority
from gossip_ws.ports import Reply
from gossip_ws.services import (
    Array,
    ComplexModel,
    Date,
    Integer,
    Service,
    SpyneHosted,
    Unicode,
    aggregate,
    gossip_enabled,
    notification,
    push,
    rpc,
)
from gossip_ws.wire.wsdl import Addresses, shadow


class Load(ComplexModel):
    __namespace__ = "urn:v"
    watts = Integer(min_occurs=1, nillable=False)


class Dated(ComplexModel):
    __namespace__ = "urn:v"
    watts = Integer
    day = Date(min_occurs=1)


def service() -> type[Service]:
    class Heater(Service):
        @rpc(Unicode)
        def Set(ctx: Any, text: str) -> None:
            ctx.udc.state.append(text)

        @rpc(_returns=Array(Load))
        def Loads(ctx: Any) -> Any:
            return [Load(watts=3)]

        @rpc(_returns=Dated)
        def Last(ctx: Any) -> Any:
            return None

        @rpc(_returns=Unicode)
        def Name(ctx: Any) -> str:
            return "heater"

    return Heater


def test_the_policies_stand_on_the_operations_and_behaviour_is_the_same(ask: Any) -> None:
    plain = service()
    gossiping = gossip_enabled(Set=push(priority=Priority.STATUS, latest=True), Loads=aggregate("sum", min_group=3))(
        service()
    )
    outcomes = []
    for kind, namespace in ((plain, "urn:plain"), (gossiping, "urn:gossiping")):
        state: list[str] = []
        hosted = SpyneHosted(kind, namespace, state)
        assert ask(hosted, "Set", f'<Set xmlns="{namespace}"><text>on</text></Set>'.encode()) == Reply(b"")
        assert state == ["on"]
        body = ask(hosted, "Loads", f'<Loads xmlns="{namespace}"/>'.encode()).body
        outcomes.append(body.replace(namespace.encode(), b"NS"))
        policies = {operation.name: operation.policy for operation in hosted.operations.values()}
    assert outcomes[0] == outcomes[1]
    assert policies == {
        "Set": GossipPolicy(priority=Priority.STATUS, latest=True),
        "Loads": GossipPolicy(aggregate="sum", min_group=3),
        "Last": None,
        "Name": None,
    }


@pytest.mark.parametrize(
    ("policies", "why"),
    [
        ({}, "names the operations"),
        ({"Sett": push()}, "no operation Sett; it has Last, Loads, Name, Set"),
        ({"Set": aggregate("sum")}, "Set is one-way"),
        ({"Loads": push()}, "needs a default aggregate"),
        ({"Loads": aggregate("sum", latest=True)}, "nothing of it stays in force"),
        ({"Loads": aggregate("sum", one_hop=True)}, "as far as its replies come from"),
        ({"Name": aggregate("sum")}, "Name has no response"),
        ({"Last": aggregate("sum")}, "Last has no response"),
    ],
)
def test_a_policy_that_does_not_fit_is_refused_at_decoration(policies: dict[str, GossipPolicy], why: str) -> None:
    with pytest.raises(LocalError, match=why):
        gossip_enabled(**policies)(service())


def test_an_unknown_option_or_an_empty_aggregate_is_refused() -> None:
    with pytest.raises(LocalError, match="no such gossip option"):
        push(fan=3)
    with pytest.raises(LocalError, match="needs a name"):
        aggregate("")


def test_two_lines_add_up() -> None:
    kind = gossip_enabled(Set=push())(gossip_enabled(Loads=aggregate("max"))(service()))
    assert set(kind.gossip_policies) == {"Set", "Loads"}  # type: ignore[attr-defined]


def test_a_notification_is_one_way_and_has_no_reply_to_combine() -> None:
    gossip_enabled(Set=notification(priority=Priority.PROTECTION))(service())
    for policies in ({"Loads": notification()}, {"Set": notification(aggregate="sum")}):
        with pytest.raises(LocalError):
            gossip_enabled(**policies)(service())


def test_the_wsdl_of_a_notification_has_an_output_and_no_input() -> None:
    """WSDL 1.1 section 2.4.4; the message and its action are those that travel."""
    wsdl = {"w": "http://schemas.xmlsoap.org/wsdl/"}
    action = "{http://www.w3.org/2007/05/addressing/metadata}Action"
    hosted = SpyneHosted(gossip_enabled(Set=notification(), Loads=aggregate("sum"))(service()), "urn:heater")
    plain = hosted.wsdl("http://127.0.0.1/Heater")
    addresses = Addresses("http://127.0.0.1/Heater", "http://127.0.0.1/Heater/gossip")
    for document in (plain, shadow(plain, hosted.operations.values(), addresses)):
        root = etree.fromstring(document)
        # In the portType and in the binding.
        found = root.xpath("//w:operation[@name='Set']", namespaces=wsdl)
        assert len(found) == 2
        for operation in found:
            assert operation.find("w:input", wsdl) is None
            assert len(operation.findall("w:output", wsdl)) == 1
        (message,) = root.xpath("//w:portType/w:operation[@name='Set']/w:output", namespaces=wsdl)
        assert message.get(action) == "urn:heater:Set"
        assert root.xpath("//w:operation[@name='Loads']/w:input", namespaces=wsdl)


def test_a_client_reads_a_wsdl_with_a_notification_and_calls_the_rest(tmp_path: Path) -> None:
    hosted = SpyneHosted(gossip_enabled(Set=notification())(service()), "urn:other-heater")
    document = tmp_path / "heater.wsdl"
    document.write_bytes(hosted.wsdl("http://127.0.0.1/Heater"))
    zeeped = zeep.Client(str(document))
    assert zeeped.service.Name is not None
