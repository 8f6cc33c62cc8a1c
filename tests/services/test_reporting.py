"""The Report service of one device: what it says of a push, of a request, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from gossip_ws.core.account import Known, Lack, Lacking
from gossip_ws.kernel.errors import Fault
from gossip_ws.kernel.names import REPORT, DeviceId, GossipId, qname
from gossip_ws.ports import Reply
from gossip_ws.services.reporting import report_service

ABOUT = "ab" * 32
ID = GossipId(bytes.fromhex(ABOUT))


def asking(about: str = ABOUT, of: str = "push", after: str | None = None, limit: object = 10) -> bytes:
    begin = "" if after is None else f"<after>{after}</after>"
    return (
        f'<GetReport xmlns="{REPORT}"><about>{about}</about><of>{of}</of>{begin}<limit>{limit}</limit></GetReport>'
    ).encode()


def told(outcome: Any) -> tuple[str, str, list[tuple[str | None, ...]]]:
    """(held, complete, entries)."""
    assert isinstance(outcome, Reply)
    root = etree.fromstring(outcome.body)
    found = {name: root.findtext(f".//{qname(REPORT, name)}") or "" for name in ("held", "complete")}
    entries = [tuple(child.text for child in one) for one in root.iter(qname(REPORT, "lacking"))]
    return found["held"], found["complete"], entries


def lacking(number: int, devices: int = 1) -> Lacking:
    return Lacking(DeviceId(f"urn:uuid:{number:04}"), Lack.MISSING, devices)


def test_a_device_that_lacks_a_push_names_itself(registrar: Any, ask: Any) -> None:
    service = report_service(registrar)
    assert told(ask(service, "GetReport", asking())) == ("0", "true", [(registrar.device, "missing", "1")])
    registrar.knows[ID] = Known(None, (lacking(1),))
    assert told(ask(service, "GetReport", asking())) == ("1", "true", [])
    registrar.knows[ID] = Known(Lack.REFUSED)
    assert told(ask(service, "GetReport", asking())) == ("0", "true", [(registrar.device, "refused", "1")])


def test_of_a_request_it_names_whom_its_answer_left_out_page_by_page(registrar: Any, ask: Any) -> None:
    service = report_service(registrar)
    names = [lacking(number, devices=number) for number in range(1, 8)]
    registrar.knows[ID] = Known(None, tuple(reversed(names)))
    read: list[Any] = []
    complete = "false"
    while complete == "false":
        after = read[-1][0] if read else None
        held, complete, entries = told(ask(service, "GetReport", asking(of="request", after=after, limit=3)))
        assert held == "1"
        assert len(entries) <= 3
        read += entries
    assert read == [(one.device, "missing", str(one.devices)) for one in names]


def test_a_device_that_knows_nothing_of_a_request_names_nobody(registrar: Any, ask: Any) -> None:
    assert told(ask(report_service(registrar), "GetReport", asking(of="request"))) == ("0", "true", [])


@pytest.mark.parametrize(
    "junk",
    [
        {"about": "ab"},
        {"about": "AB" * 32},
        {"about": ABOUT + "00"},
        {"of": "anything"},
        {"after": "x" * 129},
        {"limit": 0},
        {"limit": 201},
        {"limit": "many"},
    ],
)
def test_what_is_no_question_is_refused_with_a_fault(junk: dict[str, Any], registrar: Any, ask: Any) -> None:
    outcome = ask(report_service(registrar), "GetReport", asking(**junk))
    assert isinstance(outcome, Fault)
    assert outcome.code == "Sender"
    assert outcome.subcode.endswith("}InvalidPayload")
