"""The policy in both WSDLs, and the shadow's WSDL, as zeep and our own clients read them."""

from __future__ import annotations

import io
import warnings
from dataclasses import replace
from importlib.resources import files

import pytest
from lxml import etree

from gossip_ws.kernel.address import Binding
from gossip_ws.kernel.contract import Field, GossipPolicy, Number, Operation, Shape
from gossip_ws.kernel.errors import LocalError, RemoteError
from gossip_ws.kernel.names import QName
from gossip_ws.kernel.terms import Priority, Style
from gossip_ws.wire.wsdl import (
    WSDL11,
    WSDL_SOAP12,
    Addresses,
    Advertised,
    Form,
    annotate,
    in_form,
    read_policies,
    shadow,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import zeep

TARIFF = "urn:gossip-ws:2026:tariff"
WHERE = Addresses("http://127.0.0.1:9/tariff", "http://127.0.0.1:9/tariff/gossip")
COMPLETE = files("gossip_ws.wsdl").joinpath("tariff.wsdl").read_bytes()

SET = Operation(
    "SetTariff",
    f"{TARIFF}:SetTariff",
    Style.ONE_WAY,
    QName(f"{{{TARIFF}}}SetTariff"),
    policy=GossipPolicy(
        fanout=3, priority=Priority.STATUS, scope="grid://city/a&b", lifetime=1.5, latest=True, one_hop=True
    ),
)
GET = Operation("GetTariff", f"{TARIFF}:GetTariff", Style.REQUEST_RESPONSE, QName(f"{{{TARIFF}}}GetTariff"))


def load(wsdl: bytes) -> zeep.Client:
    class Offline(zeep.Transport):
        def load(self, url: str) -> bytes:
            raise AssertionError(f"asked for {url}")

    return zeep.Client(io.BytesIO(wsdl), transport=Offline())


def operations(client: zeep.Client) -> dict[str, list[str]]:
    return {
        f"{service.name}.{port.name} {port.binding_options['address']}": sorted(port.binding._operations)
        for service in client.wsdl.services.values()
        for port in service.ports.values()
    }


def test_both_are_read_by_zeep_and_the_shadow_holds_the_gossiping_operations_only() -> None:
    original = load(annotate(COMPLETE, (SET, GET), WHERE))
    address = "urn:gossip-ws:2026:address"
    all_three = ["GetTariff", "SetTariff", "TariffChanged"]
    assert operations(original) == {f"Tariff.Tariff {address}": all_three}
    derived = load(shadow(COMPLETE, (SET, GET), WHERE))
    assert operations(derived) == {f"TariffGossip.TariffGossip {WHERE.shadow}": ["SetTariff"]}


def test_the_other_forms_have_no_notification_nor_its_policy_and_one_port() -> None:
    both = (SET, replace(GET, name="TariffChanged", policy=GossipPolicy()))
    for made, name, where in (
        (annotate(COMPLETE, both, WHERE), "Tariff", "urn:gossip-ws:2026:address"),
        (shadow(COMPLETE, both, WHERE), "TariffGossip", WHERE.shadow),
    ):
        assert in_form(made, Form.COMPLETE) == made
        assert b"EventSource=" in made
        assert [one.operation for one in read_policies(made)] == ["SetTariff", "TariffChanged"]
        calls = ["GetTariff", "SetTariff"] if name == "Tariff" else ["SetTariff"]
        for form, soap in ((Form.PLAIN, ""), (Form.SOAP11, "Soap11")):
            told = in_form(made, form)
            assert operations(load(told)) == {f"{name}.{name}{soap} {where}": calls}
            assert b"EventSource=" not in told
            assert b'Operation="TariffChanged"' not in told
            assert b'Operation="SetTariff"' in told
            assert in_form(told, Form.PLAIN) == told
        assert [one.operation for one in read_policies(in_form(made, Form.PLAIN))] == ["SetTariff"]
    assert WSDL_SOAP12.encode() not in in_form(COMPLETE, Form.SOAP11)
    with pytest.raises(LocalError, match="not a WSDL"):
        in_form(b"<x/>", Form.PLAIN)


def test_a_client_makes_the_same_request_from_either() -> None:
    tariff = {
        "id": "t", "version": 1, "start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z",
        "band": [{"fromMinute": 0, "toMinute": 1440, "price": 1}],
    }  # fmt: skip
    bodies = []
    for wsdl in (annotate(COMPLETE, (SET, GET), WHERE), shadow(COMPLETE, (SET, GET), WHERE)):
        client = load(wsdl)
        message = client.create_message(client.service, "SetTariff", tariff=tariff)
        bodies.append(etree.tostring(message[-1], method="c14n"))
    assert bodies[0] == bodies[1]


def test_what_is_asserted_is_read_back_from_either() -> None:
    wanted = (Advertised("SetTariff", SET.policy or GossipPolicy(), WHERE),)
    assert read_policies(annotate(COMPLETE, (SET, GET), WHERE)) == wanted
    assert read_policies(shadow(COMPLETE, (SET, GET), WHERE)) == wanted


def test_every_field_of_a_policy_survives() -> None:
    policy = GossipPolicy(
        rounds=7, binding=Binding.HTTP, aggregate="mean", timeout=0.25, min_group=5, priority=Priority.PROTECTION
    )
    both = (replace(SET, policy=GossipPolicy()), replace(GET, policy=policy))
    found = read_policies(annotate(COMPLETE, both, WHERE))
    assert [(one.operation, one.policy) for one in found] == [("SetTariff", GossipPolicy()), ("GetTariff", policy)]


FIELDS = (
    Field(QName(f"{{{TARIFF}}}wh"), Number.INTEGER, 0, 1_000_000_000),
    Field(QName(f"{{{TARIFF}}}angle"), Number.DOUBLE, -0.1),
    Field(QName(f"{{{TARIFF}}}price"), Number.DECIMAL, high=1e-07),
    Field(QName(f"{{{TARIFF}}}any"), Number.INTEGER),
)
NUMBERS = replace(
    GET,
    policy=GossipPolicy(aggregate="sum"),
    shape=Shape(GET.request, (), QName("row"), (), FIELDS, ()),
)


def test_what_one_device_can_give_is_read_back_from_either() -> None:
    for wsdl in (annotate(COMPLETE, (SET, NUMBERS), WHERE), shadow(COMPLETE, (SET, NUMBERS), WHERE)):
        assert [one.fields for one in read_policies(wsdl)] == [(), FIELDS]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'Low="0"', b'Low="nan"'),
        (b'Low="0"', b'Low="1e999"'),
        (b'Low="0"', b'Low="little"'),
        (b'Number="double"', b'Number="complex"'),
        (b'Number="double"', b""),
        (b'Name="{urn:gossip-ws:2026:tariff}wh"', b'Name=""'),
        (b"</g:Gossip>", b"%b</g:Gossip>" % (b'<g:Field Name="a" Number="integer"/>' * 300)),
    ],
)
def test_a_range_that_is_none_is_the_senders_fault(old: bytes, new: bytes) -> None:
    wsdl = annotate(COMPLETE, (SET, NUMBERS), WHERE)
    assert old in wsdl
    with pytest.raises(RemoteError):
        read_policies(wsdl.replace(old, new, 1))


def test_the_profile_is_asserted_on_each_binding_and_a_plain_service_gossips_nothing() -> None:
    wsdl = annotate(COMPLETE, (GET,), WHERE)
    assert read_policies(wsdl) == ()
    root = etree.fromstring(wsdl)
    references = root.findall(f"{{{WSDL11}}}binding/{{http://www.w3.org/ns/ws-policy}}PolicyReference")
    assert [reference.get("URI") for reference in references] == ["#DevicesProfile"]
    profile = "{http://docs.oasis-open.org/ws-dd/ns/dpws/2009/01}Profile"
    (asserted,) = root.findall(f"{{http://www.w3.org/ns/ws-policy}}Policy/{profile}")
    assert asserted.get("{http://www.w3.org/ns/ws-policy}Optional") == "true"


def test_annotating_twice_is_annotating_once() -> None:
    once = annotate(COMPLETE, (SET, GET), WHERE)
    assert annotate(once, (SET, GET), WHERE) == once
    assert shadow(once, (SET, GET), WHERE) == shadow(COMPLETE, (SET, GET), WHERE)


def test_a_shadow_needs_an_operation_that_gossips_and_that_the_wsdl_has() -> None:
    with pytest.raises(LocalError, match="no shadow"):
        shadow(COMPLETE, (GET,), WHERE)
    with pytest.raises(LocalError, match="Unknown"):
        annotate(COMPLETE, (replace(SET, name="Unknown"),), WHERE)
    with pytest.raises(LocalError, match="not a WSDL"):
        annotate(b"<x/>", (SET,), WHERE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'Fanout="3"', b'Fanout="-3"'),
        (b'Fanout="3"', b'Fanout="99999999999999999999"'),
        (b'Fanout="3"', b'Fanout="many"'),
        (b'Rounds="population"', b""),
        (b'Variant="eager-push"', b'Variant="telepathy"'),
        (b'Operation="SetTariff"', b'Operation="GetTariff"'),
        (b'LifetimeMs="1500"', b'LifetimeMs="1e3"'),
        (b'Latest="true"', b'Latest="perhaps"'),
        (b'OneHop="true"', b'OneHop="perhaps"'),
        (b"</wsdl:definitions>", b""),
        (b"?>", b"?><!DOCTYPE x [<!ENTITY e 'x'>]>"),
    ],
)
def test_a_wsdl_from_the_network_that_says_nonsense_is_the_senders_fault(old: bytes, new: bytes) -> None:
    wsdl = annotate(COMPLETE, (SET, GET), WHERE)
    assert old in wsdl
    with pytest.raises(RemoteError):
        read_policies(wsdl.replace(old, new, 1))
