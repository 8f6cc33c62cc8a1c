"""sdc11073 subscribes to a meter's events, its schema validation on: all that its client of WS-Eventing does.

Its reader of messages would have every Body be one of its own, medical, schemas; so events are read by ours.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.request import Request, urlopen

import pytest
from lxml import etree
from peers import device_process, pip_package, works
from single_devices import Running, eventually
from sinks import Sink
from town import plain, tariff

from gossip_ws.dpws.eventing import ACTIONS, Ending
from gossip_ws.kernel.names import TARIFF, WSA, qname

CHANGED = f"{TARIFF}:TariffChanged"


@pytest.fixture
def meter(tmp_path: Path) -> Iterator[Running]:
    running = device_process(tmp_path, "127.79.0.5", "grid://interop-events/1/1")
    yield running
    if running.process.poll() is None:
        running.stop()


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    yield made
    made.close()


@pytest.fixture
def subscription(meter: Running, sink: Sink) -> Iterator[Any]:
    """Not begun yet."""
    definitions = pip_package("sdc11073.definitions_sdc", "sdc11073").SdcV1Definitions
    eventing = pip_package("sdc11073.xml_types.eventing_types", "sdc11073")
    logger = logging.getLogger("sdc")
    reader = pip_package("sdc11073.pysoap.msgreader", "sdc11073").MessageReader(
        definitions, None, logger, validate=True
    )
    factory = pip_package("sdc11073.pysoap.msgfactory", "sdc11073").MessageFactory(
        definitions, None, logger, validate=True
    )
    adapter = pip_package("sdc11073.loghelper", "sdc11073").get_logger_adapter("sdc", "")
    address = meter.address("/Tariff")
    client = pip_package("sdc11073.pysoap.soapclient", "sdc11073").SoapClient(
        address.split("/")[2], 5, adapter, None, definitions, reader
    )
    filter = eventing.FilterType()
    filter.text, filter.Dialect = CHANGED, ACTIONS
    hosted = SimpleNamespace(EndpointReference=[SimpleNamespace(Address=address)])
    made = pip_package("sdc11073.consumer.subscription", "sdc11073").ConsumerSubscription(
        factory, definitions.data_model, lambda _: client, hosted, filter, *2 * [sink.reference.address], ""
    )
    made.notify_to_identifier = parameter("notify")
    made.end_to_identifier = parameter("end")
    client.connect()
    yield made
    client.close()


def parameter(text: str) -> etree._Element:
    made = etree.Element("{urn:peer}For")
    made.text = text
    return made


def fire(meter: Running, version: int) -> None:
    """One that was given to it is an event."""
    frame = plain(f"{TARIFF}:SetTariff", tariff(version))
    headers = {"Content-Type": "application/soap+xml; charset=utf-8"}
    with urlopen(Request(meter.address("/Tariff"), frame, headers), timeout=10) as response:
        assert response.status == 202


@works("sdc11073", "events")
def test_it_subscribes_renews_asks_and_unsubscribes(meter: Running, sink: Sink, subscription: Any) -> None:
    """WSDBIT 4.1, 4.2"""
    subscription.subscribe(expires=60)
    assert subscription.is_subscribed
    assert subscription.granted_expires == 60
    fire(meter, 1)
    eventually(lambda: sink.versions == ["1"])
    assert echoed(sink, 0) == ("notify", "true")
    assert subscription.renew(expires=7_200) == 7_200
    assert 7_000 < subscription.get_status() <= 7_200
    fire(meter, 2)
    eventually(lambda: sink.versions == ["1", "2"])
    subscription.unsubscribe()
    assert not subscription.is_subscribed
    # Were it still told of events, the end would be told as well.
    fire(meter, 3)
    assert meter.stop(signal.SIGTERM) == 0
    assert (sink.versions, sink.ends) == (["1", "2"], [])


@works("sdc11073", "events")
def test_it_is_refused_a_filter_that_nothing_passes(subscription: Any, caplog: pytest.LogCaptureFixture) -> None:
    """WSDBIT 4.4. It keeps the fault to itself, but for its log."""
    subscription._filter_type.text = "urn:nothing"
    subscription.subscribe(expires=60)
    assert not subscription.is_subscribed
    assert "FilterActionNotSupported" in caplog.text


@works("sdc11073", "events")
def test_it_is_told_when_the_device_goes(meter: Running, sink: Sink, subscription: Any) -> None:
    subscription.subscribe(expires=60)
    assert meter.stop(signal.SIGTERM) == 0
    assert sink.ends == [Ending.SOURCE_SHUTTING_DOWN]
    assert echoed(sink, 0) == ("end", "true")


def echoed(sink: Sink, place: int) -> tuple[str | None, str | None]:
    """(text, IsReferenceParameter) of the reference parameter in a message."""
    block = sink.heard[place].header(qname("urn:peer", "For"))
    assert block is not None
    return block.text, block.get(qname(WSA, "IsReferenceParameter"))
