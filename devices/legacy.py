"""A plain SOAP client, as anybody has one: zeep and a WSDL, no word of gossip.

The city pushes and pulls with it, and checks with it that the original addresses behave as ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from lxml import etree
from requests import Session
from zeep import Client, Settings, Transport
from zeep.exceptions import Error as ZeepError
from zeep.plugins import HistoryPlugin

from gossip_ws.core.messages import Tally
from gossip_ws.kernel.errors import RemoteError
from gossip_ws.wire.envelope import parse
from gossip_ws.wire.nodes import decode_report

TIMEOUT = 60.0
PERIOD = 480
"""Minutes."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """`energy`: whole Wh of each period, None when there was a fault. `tally`: what the answer says it is worth.
    `id`: of the request that it answers, empty when the answer does not say."""

    energy: list[int] | None
    tally: Tally
    id: bytes = b""


class LegacyClient:
    """`user` and `password` go as HTTP Basic credentials, as with any web service."""

    def __init__(self, user: str = "", password: str = "") -> None:
        self._session = Session()
        # What the environment says of proxies is for the internet, not for devices.
        self._session.trust_env = False
        if user:
            self._session.auth = (user, password)

    def tariff(self, address: str) -> tuple[str, int]:
        """(id, version) held at a Tariff service's original address."""
        held = self._client(address).service.GetTariff()
        return held.id, held.version

    def push(self, address: str, id: str, version: int, prices: Sequence[str]) -> None:
        """SetTariff at the shadow of the Tariff service at `address`: a price a period, in force for a day."""
        client = self._client(address + "/gossip")
        now = datetime.now(UTC)
        bands = [
            {"fromMinute": number * PERIOD, "toMinute": (number + 1) * PERIOD, "price": price}
            for number, price in enumerate(prices)
        ]
        client.service.SetTariff(
            tariff={"id": id, "version": version, "start": now, "end": now + timedelta(days=1), "band": bands}
        )

    def pull(self, address: str, day: str) -> Pulled:
        """GetDemand at the shadow of the Metering service at `address`, with its default aggregate."""
        history = HistoryPlugin()  # type: ignore[no-untyped-call]
        client = self._client(address + "/gossip", history)
        try:
            rows = client.service.GetDemand(day=date.fromisoformat(day))
        except ZeepError:
            return Pulled(None, *_report(history))
        energy = [sum(int(row.energyWh[period]) for row in rows) for period in range(3)]
        return Pulled(energy, *_report(history))

    def _client(self, address: str, *plugins: Any) -> Client:
        transport = Transport(session=self._session, operation_timeout=TIMEOUT)  # type: ignore[no-untyped-call]
        return Client(address + "?wsdl", transport=transport, plugins=list(plugins), settings=Settings(strict=True))  # type: ignore[no-untyped-call]


def _report(history: HistoryPlugin) -> tuple[Tally, bytes]:
    try:
        received = history.last_received
        found = decode_report(parse(etree.tostring(received["envelope"]))) if received else None
    except (RemoteError, IndexError):
        found = None
    return (found[1], found[0]) if found is not None else (Tally(), b"")
