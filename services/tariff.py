"""The Tariff service: takes a tariff one-way, gives the one held, and tells whoever has to act on it.

A tariff has an id, a version that supersedes, a time from `start` to `end`, and price bands: half-open
intervals `[fromMinute, toMinute)` of minutes after midnight UTC, the same on every day, in order and
without overlap. A minute in no band has no price. Knows nothing of tasks, displays or gossip: listeners do.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal as Exact
from typing import Any, Final

from gossip_ws.kernel.errors import LocalError, receiver_fault, sender_fault
from gossip_ws.kernel.instant import Instant
from gossip_ws.kernel.names import TARIFF
from gossip_ws.ports import Store
from gossip_ws.services import _spyne as spyne
from gossip_ws.services.contract import call, state
from gossip_ws.services.gossip import gossip_enabled, notification, push
from gossip_ws.services.hosting import SpyneHosted

logger = logging.getLogger(__name__)

MAX_JUMP: Final = 1_000
"""How far a version may be ahead of the one in force: one wrong number must not lock a meter for ever."""
MAX_ISSUERS: Final = 8
"""Issuers whose versions a device remembers; a ninth is refused, because forgetting one allows replays."""
MAX_BANDS: Final = 48
SPREAD: Final = 6 * 86_400.0
"""Seconds for which a tariff is given to devices that join: a day short of the longest that a message may live, so
that no cap and no clock comes near. It may be long, because only the one in force is kept."""
MINUTES: Final = 24 * 60
_KEY: Final = "tariff"


@dataclass(frozen=True, slots=True)
class PriceBand:
    """`price` in EUR/kWh for the minutes of the day (UTC) in [from_minute, to_minute)."""

    from_minute: int
    to_minute: int
    price: Exact


@dataclass(frozen=True, slots=True)
class HeldTariff:
    """A tariff as plain values. `start` and `end` are wall seconds; `issuer` is who its version belongs to."""

    id: str
    version: int
    start: float
    end: float
    bands: tuple[PriceBand, ...]
    issuer: str = ""


Listener = Callable[[HeldTariff], None]
"""Called after a tariff was stored: adapt tasks, show it, hand it on. Must not block."""


class TariffStore:
    """The tariffs a device holds, one an issuer, and the one accepted last. Durable if `store` is.

    Raises LocalError when what `store` has is not what was put there.
    """

    def __init__(self, store: Store | None = None) -> None:
        self._store = store
        self._held: dict[str, HeldTariff] = {}
        self.listeners: list[Listener] = []
        self.failed_listeners = 0
        saved = store.get(_KEY) if store is not None else None
        if saved is not None:
            # In the order of acceptance: the last one is the current one.
            self._held = {tariff.issuer: tariff for tariff in _load(saved)}

    @property
    def current(self) -> HeldTariff | None:
        """The tariff accepted last, expired or not."""
        return next(reversed(self._held.values()), None)

    def held(self, issuer: str) -> HeldTariff | None:
        """The tariff accepted last from `issuer`."""
        return self._held.get(issuer)

    def accept(self, tariff: HeldTariff, now: Instant) -> bool:
        """Check, store durably, tell the listeners. False for a repeat of the one held, which changes nothing.

        Raises RemoteError with a subcode in the tariff namespace: BadTariff, Expired, StaleVersion,
        VersionJump (Sender), TooManyIssuers (Receiver).
        """
        _check(tariff)
        held = self._held.get(tariff.issuer)
        if held == tariff:
            return False
        if tariff.end <= now.wall:
            raise sender_fault("Expired", f"tariff {tariff.id} ended before now", namespace=TARIFF)
        if held is None:
            if len(self._held) >= MAX_ISSUERS:
                raise receiver_fault("TooManyIssuers", f"{MAX_ISSUERS} issuers are held already", namespace=TARIFF)
        elif tariff.version <= held.version:
            raise sender_fault(
                "StaleVersion", f"version {tariff.version} does not supersede {held.version}", namespace=TARIFF
            )
        elif tariff.version - held.version > MAX_JUMP and held.end > now.wall:
            # Once the held one has ended a device that slept through a thousand versions may catch up.
            raise sender_fault(
                "VersionJump",
                f"version {tariff.version} is more than {MAX_JUMP} ahead of {held.version}",
                namespace=TARIFF,
            )
        self._put(tariff)
        for listener in tuple(self.listeners):
            try:
                listener(tariff)
            except Exception:  # the tariff stands whatever a display makes of it
                self.failed_listeners += 1
                logger.exception("a tariff listener failed")
        return True

    def _put(self, tariff: HeldTariff) -> None:
        after = {issuer: held for issuer, held in self._held.items() if issuer != tariff.issuer}
        after[tariff.issuer] = tariff
        if self._store is not None:
            self._store.put(_KEY, json.dumps([asdict(held) for held in after.values()], default=str).encode())
        self._held = after


def _check(tariff: HeldTariff) -> None:
    reason = ""
    if not 0 < len(tariff.id) <= 64:
        reason = "an id has 1 to 64 characters"
    elif tariff.version < 1:
        reason = "versions start at 1"
    elif not tariff.start < tariff.end:
        reason = "a tariff ends after it starts"
    elif not 0 < len(tariff.bands) <= MAX_BANDS:
        reason = f"a tariff has 1 to {MAX_BANDS} bands"
    else:
        before = 0
        for band in tariff.bands:
            if not 0 <= band.from_minute < band.to_minute <= MINUTES:
                reason = f"a band ends after it starts, within 0 to {MINUTES}"
            elif band.from_minute < before:
                reason = "bands are in order and do not overlap"
            elif not band.price.is_finite() or band.price < -10:
                reason = "a price is at least -10 EUR/kWh"
            before = band.to_minute
    if reason:
        raise sender_fault("BadTariff", reason, namespace=TARIFF)


def _load(saved: bytes) -> list[HeldTariff]:
    try:
        return [
            HeldTariff(
                id=str(held["id"]),
                version=int(held["version"]),
                start=float(held["start"]),
                end=float(held["end"]),
                bands=tuple(
                    PriceBand(int(band["from_minute"]), int(band["to_minute"]), Exact(band["price"]))
                    for band in held["bands"]
                ),
                issuer=str(held["issuer"]),
            )
            for held in json.loads(saved)
        ]
    except (ArithmeticError, KeyError, TypeError, ValueError) as error:
        raise LocalError(f"the tariff store holds something else: {error}") from None


class Band(spyne.ComplexModel):
    """A price for the minutes of the day (UTC) from fromMinute, up to and without toMinute."""

    __namespace__ = TARIFF
    fromMinute = spyne.Integer32(ge=0, lt=MINUTES, min_occurs=1, nillable=False)
    toMinute = spyne.Integer32(gt=0, le=MINUTES, min_occurs=1, nillable=False)
    price = spyne.Decimal(
        ge=-10, le=1000, total_digits=10, fraction_digits=6, min_occurs=1, nillable=False, doc="EUR/kWh"
    )


class Tariff(spyne.ComplexModel):
    """What the utility sets: version supersedes, start and end in UTC."""

    __namespace__ = TARIFF
    id = spyne.Unicode(min_len=1, max_len=64, min_occurs=1, nillable=False)
    version = spyne.Integer64(ge=1, min_occurs=1, nillable=False)
    start = spyne.DateTime(min_occurs=1, nillable=False)
    end = spyne.DateTime(min_occurs=1, nillable=False)
    band = Band.customize(min_occurs=1, max_occurs=MAX_BANDS, nillable=False)  # type: ignore[attr-defined]


@gossip_enabled(SetTariff=push(latest=True, lifetime=SPREAD), TariffChanged=notification())
class TariffService(spyne.Service):
    """Sets and gives the tariff of one device, and says when it changed. State: a TariffStore."""

    __service_name__ = "Tariff"

    @spyne.rpc(Tariff.customize(min_occurs=1, nillable=False))  # type: ignore[attr-defined]
    def SetTariff(ctx: Any, tariff: Any) -> None:
        """Take a tariff that supersedes the one held from the same issuer."""
        told = call(ctx)
        held = HeldTariff(
            id=tariff.id,
            version=tariff.version,
            start=_wall(tariff.start),
            end=_wall(tariff.end),
            bands=tuple(PriceBand(band.fromMinute, band.toMinute, band.price) for band in tariff.band),
            issuer=told.issuer,
        )
        state(ctx, TariffStore).accept(held, told.now)

    @spyne.rpc(_returns=Tariff)
    def GetTariff(ctx: Any) -> Any:
        """Give the tariff accepted last."""
        held = state(ctx, TariffStore).current
        if held is None:
            # The request is fine and may succeed later, unchanged: that is a Receiver fault (SOAP 1.2 5.4.6).
            raise receiver_fault("NoTariff", "no tariff has been set yet", namespace=TARIFF)
        return Tariff(
            id=held.id,
            version=held.version,
            start=datetime.fromtimestamp(held.start, UTC),
            end=datetime.fromtimestamp(held.end, UTC),
            band=[Band(fromMinute=band.from_minute, toMinute=band.to_minute, price=band.price) for band in held.bands],
        )

    @spyne.rpc(
        spyne.Unicode(min_len=1, max_len=128, min_occurs=1, nillable=False),
        Tariff.customize(min_occurs=1, nillable=False),  # type: ignore[attr-defined]
    )
    def TariffChanged(ctx: Any, device: str, tariff: Any) -> None:
        """The device has accepted a tariff. Changes nothing at another one that hears of it."""


def _wall(when: datetime) -> float:
    if when.tzinfo is None:
        raise sender_fault("BadTariff", "a tariff's times carry a time zone", namespace=TARIFF)
    return when.timestamp()


def tariff_service(store: TariffStore, path: str = "/Tariff") -> SpyneHosted:
    """The Tariff service of the device that holds `store`."""
    return SpyneHosted(TariffService, TARIFF, store, path=path)
