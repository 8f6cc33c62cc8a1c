"""When a city of devices that overstate is as it should be, and what it says of it."""

from dataclasses import replace

import pytest

from gossip_ws.devices.city_metering import MeteredDay, MeteringReport, lines

GOOD = MeteringReport(
    12, 3, 40_000, [MeteredDay(42_000, 39_000, 0.875, 1.0, 24), MeteredDay(41_000, 39_500, 0.781, 1.0, 24)], [], []
)


def test_who_overstates_is_noticed_and_nobody_else():
    assert GOOD.is_good
    assert replace(GOOD, days=GOOD.days[:1]).is_good
    # With nothing sold in vain from the first day on there is nothing to become less.
    assert replace(GOOD, days=[replace(day, agreed=day.given) for day in GOOD.days]).is_good


@pytest.mark.parametrize(
    "changed",
    [
        {"unnoticed": ["urn:uuid:1"]},
        {"violations": ["twice: urn:uuid:1/1.0"]},
        {"days": [GOOD.days[0], replace(GOOD.days[1], others=0.9)]},
        {"days": [GOOD.days[0], replace(GOOD.days[1], given=38_000)]},
    ],
    ids=["unnoticed", "violations", "others", "in vain"],
)
def test_anything_else_is_not_as_it_should_be(changed):
    assert not replace(GOOD, **changed).is_good


def test_a_person_reads_day_by_day_what_was_promised_in_vain():
    told = list(lines(replace(GOOD, unnoticed=["urn:uuid:1"], violations=["twice: urn:uuid:2/1.0"])))
    assert "3 of 12 meters announce twice what they give; at most 40.0 kWh" in told[0]
    assert told[2].split()[:5] == ["42.0", "39.0", "3.0", "0.875", "1.000"]
    assert told[2].endswith("day 1, 24 neighbours have judged")
    assert told[-2:] == ["           NOT NOTICED urn:uuid:1", "           VIOLATED twice: urn:uuid:2/1.0"]
