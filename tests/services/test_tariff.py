"""What a device does with tariffs: newer ones supersede, per issuer, durably; all else is a fault."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from lxml import etree

from gossip_ws.kernel.errors import FaultCode, LocalError
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import TARIFF
from gossip_ws.ports import Reply
from gossip_ws.services.tariff import HeldTariff, PriceBand, TariffStore, tariff_service

DAY = 86_400.0
DONE = Reply(b"")
GET = f'<GetTariff xmlns="{TARIFF}"/>'.encode()
BANDS = ((0, 360, "0.18"), (360, 1320, "0.34"), (1320, 1440, "0.18"))


def tariff(
    version: int | str = 1,
    start: str = "2026-11-21T00:00:00Z",
    end: str = "2026-11-22T00:00:00Z",
    bands: tuple[tuple[object, object, object], ...] = BANDS,
    id: str = "winter",
) -> bytes:
    rows = "".join(
        f"<band><fromMinute>{a}</fromMinute><toMinute>{b}</toMinute><price>{price}</price></band>"
        for a, b, price in bands
    )
    return (
        f'<SetTariff xmlns="{TARIFF}"><tariff><id>{id}</id><version>{version}</version>'
        f"<start>{start}</start><end>{end}</end>{rows}</tariff></SetTariff>"
    ).encode()


def subcode(outcome: Any) -> tuple[FaultCode, str]:
    return outcome.code, outcome.subcode.removeprefix(f"{{{TARIFF}}}")


def test_a_tariff_is_taken_told_to_listeners_and_given_back(ask: Any, memory: Any) -> None:
    store = TariffStore(memory)
    heard: list[HeldTariff] = []
    store.listeners.append(heard.append)
    service = tariff_service(store)
    assert ask(service, "SetTariff", tariff(end="2026-11-22T01:00:00+01:00")) == DONE
    expected = HeldTariff(
        id="winter",
        version=1,
        start=1795219200.0,
        end=1795219200.0 + DAY,
        bands=tuple(PriceBand(a, b, Decimal(price)) for a, b, price in BANDS),
        issuer="utility",
    )
    assert heard == [expected]
    given = etree.fromstring(ask(service, "GetTariff", GET).body)
    texts = [element.text for element in given.iter() if len(element) == 0]
    assert texts[:4] == ["winter", "1", "2026-11-21T00:00:00+00:00", "2026-11-22T00:00:00+00:00"]
    assert texts[4:] == [str(value) for band in BANDS for value in band]


def test_without_a_tariff_the_receiver_has_none(ask: Any) -> None:
    assert subcode(ask(tariff_service(TariffStore()), "GetTariff", GET)) == (FaultCode.RECEIVER, "NoTariff")


def test_a_repeat_is_accepted_silently_and_tells_nobody(ask: Any, memory: Any) -> None:
    store = TariffStore(memory)
    heard: list[HeldTariff] = []
    store.listeners.append(heard.append)
    service = tariff_service(store)
    assert [ask(service, "SetTariff", tariff()) for _ in range(3)] == [DONE] * 3
    assert len(heard) == 1


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (tariff(4), "StaleVersion"),
        (tariff(5, id="other"), "StaleVersion"),
        (tariff(5 + 1001), "VersionJump"),
        (tariff((1 << 63) - 1), "VersionJump"),
        (tariff(6, start="2026-11-22T00:00:00Z", end="2026-11-21T00:00:00Z"), "BadTariff"),
        (tariff(6, end="2026-11-21T00:00:00Z"), "BadTariff"),
        (tariff(6, end="2026-11-21T11:59:59Z"), "Expired"),
        (tariff(6, start="2026-11-21T00:00:00"), "BadTariff"),
        (tariff(6, bands=((10, 10, 1),)), "BadTariff"),
        (tariff(6, bands=((10, 20, 1), (19, 30, 1))), "BadTariff"),
        (tariff(6, bands=((100, 200, 1), (10, 30, 1))), "BadTariff"),
    ],
)
def test_what_may_not_supersede_is_the_senders_fault_and_changes_nothing(
    ask: Any, payload: bytes, expected: str
) -> None:
    store = TariffStore()
    service = tariff_service(store)
    assert ask(service, "SetTariff", tariff(5)) == DONE
    before = store.current
    assert subcode(ask(service, "SetTariff", payload)) == (FaultCode.SENDER, expected)
    assert store.current == before
    assert ask(service, "SetTariff", tariff(5 + 1000)) == DONE


@pytest.mark.parametrize(
    "payload",
    [
        tariff(0),
        tariff(1 << 63),
        tariff("1e3"),
        tariff(id=""),
        tariff(id="x" * 65),
        tariff(bands=()),
        tariff(bands=tuple((minute, minute + 1, 1) for minute in range(49))),
        tariff(bands=((-1, 10, 1),)),
        tariff(bands=((0, 1441, 1),)),
        tariff(bands=((0, 10, -10.01),)),
        tariff(bands=((0, 10, "NaN"),)),
        tariff(bands=((0, 10, "0.1234567"),)),
        tariff(start="yesterday"),
    ],
)
def test_what_the_contract_forbids_never_reaches_the_store(ask: Any, payload: bytes) -> None:
    store = TariffStore()
    outcome = ask(tariff_service(store), "SetTariff", payload)
    assert (outcome.code, outcome.subcode) == (FaultCode.SENDER, "{urn:gossip-ws:2026}InvalidPayload")
    assert store.current is None


def test_one_issuers_versions_do_not_lock_out_anothers(ask: Any) -> None:
    store = TariffStore()
    service = tariff_service(store)
    assert ask(service, "SetTariff", tariff((1 << 63) - 1, id="a"), issuer="a") == DONE
    assert ask(service, "SetTariff", tariff(1, id="b"), issuer="b") == DONE
    assert store.current is not None
    assert store.current.id == "b"


def test_a_ninth_issuer_is_refused_rather_than_one_forgotten(ask: Any) -> None:
    service = tariff_service(TariffStore())
    for number in range(8):
        assert ask(service, "SetTariff", tariff(), issuer=str(number)) == DONE
    assert subcode(ask(service, "SetTariff", tariff(), issuer="8")) == (FaultCode.RECEIVER, "TooManyIssuers")
    assert ask(service, "SetTariff", tariff(2), issuer="0") == DONE


def test_after_its_end_a_device_that_slept_through_a_thousand_versions_catches_up(ask: Any, now: Instant) -> None:
    service = tariff_service(TariffStore())
    assert ask(service, "SetTariff", tariff(1)) == DONE
    later = now._replace(wall=now.wall + DAY)
    far = tariff(5000, end="2026-12-31T00:00:00Z")
    assert subcode(ask(service, "SetTariff", far)) == (FaultCode.SENDER, "VersionJump")
    assert ask(service, "SetTariff", far, now=later) == DONE


def test_a_reboot_keeps_the_tariff_and_every_issuers_version(ask: Any, memory: Any) -> None:
    first = tariff_service(TariffStore(memory))
    assert ask(first, "SetTariff", tariff(7), issuer="a") == DONE
    assert ask(first, "SetTariff", tariff(3, bands=((0, 5, "-0.000001"),)), issuer="b") == DONE
    again = TariffStore(memory)
    assert again.current == first.state.current
    assert again.current.bands[0].price == Decimal("-0.000001")  # type: ignore[union-attr]
    assert subcode(ask(tariff_service(again), "SetTariff", tariff(6), issuer="a")) == (FaultCode.SENDER, "StaleVersion")


def test_what_cannot_be_stored_is_not_accepted(ask: Any, memory: Any) -> None:
    store = TariffStore(memory)
    heard: list[HeldTariff] = []
    store.listeners.append(heard.append)
    service = tariff_service(store)
    memory.full = True
    assert ask(service, "SetTariff", tariff()).code is FaultCode.RECEIVER
    assert (store.current, heard) == (None, [])
    memory.full = False
    assert ask(service, "SetTariff", tariff()) == DONE


def test_it_is_stored_before_anyone_is_told(ask: Any, memory: Any) -> None:
    store = TariffStore(memory)
    seen: list[bool] = []
    store.listeners.append(lambda held: seen.append(b"winter" in memory.values["tariff"]))
    ask(tariff_service(store), "SetTariff", tariff())
    assert seen == [True]


def test_a_listener_that_fails_costs_nothing_but_a_count(ask: Any) -> None:
    store = TariffStore()
    heard: list[HeldTariff] = []
    store.listeners += [lambda held: heard[99].id, heard.append]  # type: ignore[list-item]
    assert ask(tariff_service(store), "SetTariff", tariff()) == DONE
    assert (store.failed_listeners, len(heard)) == (1, 1)


@pytest.mark.parametrize("saved", [b"", b"{}x", b"[1]", b'[{"id": "a"}]', b"\xff"])
def test_a_store_with_something_else_in_it_says_so(memory: Any, saved: bytes) -> None:
    memory.values["tariff"] = saved
    with pytest.raises(LocalError, match="tariff store"):
        TariffStore(memory)


def test_only_set_tariff_gossips() -> None:
    policies = {name.rpartition(":")[2]: op.policy for name, op in tariff_service(TariffStore()).operations.items()}
    assert policies["GetTariff"] is None
    assert policies["SetTariff"] is not None
    assert "urn:gossip-ws:2026:tariff:SetTariff" in tariff_service(TariffStore()).operations
