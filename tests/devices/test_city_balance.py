"""What the city's meters balance, and how it is judged: on simulated ledgers, which are then spoilt."""

import json
from dataclasses import replace
from functools import cache
from random import Random

import pytest

from gossip_ws.consensus.book import Book
from gossip_ws.consensus.checker import Cut
from gossip_ws.consensus.conditions import Conditions
from gossip_ws.consensus.exchange import exchanges
from gossip_ws.consensus.log import Kind, Record
from gossip_ws.consensus.loose import RETURNS, STORES, WAITS, Left, Loose
from gossip_ws.consensus.optimum import matched
from gossip_ws.consensus.run import Run
from gossip_ws.consensus.vector import plus, total, zero
from gossip_ws.devices.city_balance import (
    DAY,
    BalancePhase,
    Pulled,
    area_reports,
    broken,
    decided,
    draw,
    population,
    report,
    revoked,
    within_reach,
)
from gossip_ws.devices.city_balance_table import lines
from gossip_ws.devices.city_standing import as_told, is_matched, merged, standing
from gossip_ws.devices.residual import residual_of
from gossip_ws.kernel.errors import LocalError
from gossip_ws.services.balancing import Residual

GRID = "1-MVLV-rural-all-2-sw"
SMALL = "1-LV-rural1--2-sw"


@cache
def drawn():
    """A plan of 24 meters, and the ledgers of a simulated day."""
    plan = draw(population(GRID, 24, 3), DAY, 3)
    trace = Run(plan.instance, plan.hierarchy, Conditions(), Random(3)).run()
    assert trace.settled
    return plan, trace


def told(plan, logs):
    """What a pull of each area would say, added up from the ledgers by hand."""
    found = {}
    for here in area_reports(plan, logs, 0, {}):
        one = here.exchange
        residual = Residual(
            one.given,
            one.needed,
            plus(one.within, one.sold),
            plus(one.within, one.bought),
            one.sold,
            one.bought,
            one.left_given,
            one.left_needed,
        )
        found[here.area] = [Pulled(here.meters, residual)]
    return found


def phase(plan, logs, pulled, **changed):
    areas = area_reports(plan, logs, 0, pulled)
    decisions, watts, last = decided(plan, logs, 0)
    found = broken(plan, logs, (), areas, settled=True)
    made = BalancePhase("calm", True, last, decisions, 500, watts, plan.optimum(), 1.5, areas, [], found)
    return replace(made, **changed)


def test_every_process_draws_the_same_plan_of_four_areas():
    plan, again = (draw(population(GRID, 24, 3), DAY, 3) for _ in range(2))
    assert plan == again
    sizes = [list(plan.areas.values()).count(area) for area in dict.fromkeys(plan.areas.values())]
    assert sizes == [6, 6, 6, 6]
    assert plan.hierarchy.clusters[plan.hierarchy.top].kind == "IS"
    assert sum(plan.kinds.values()) >= 24
    assert plan.optimum() > 0


def test_a_grid_of_one_area_is_one():
    plan = draw(population(SMALL, 13, 1), DAY, 1)
    assert len(set(plan.areas.values())) == 1


@pytest.mark.parametrize("round_", [0.0, 11.0, float("nan")])
def test_a_round_lasts_some_time(round_):
    with pytest.raises(LocalError, match="a round lasts"):
        draw(population(SMALL, 13, 1), DAY, 1, round_)


def test_a_good_phase_is_good_and_every_area_says_what_its_ledgers_say():
    plan, trace = drawn()
    good = phase(plan, trace.logs, told(plan, trace.logs))
    assert good.violations == []
    assert good.is_good
    assert (good.matched, good.decisions) == (plan.optimum(), len({r.agreement for r in commits(trace.logs)}))
    assert report(plan, [good]).is_good
    assert report(plan, [good]).clusters == {"SSC": 4, "IS": 1}


def commits(logs):
    return [record for log in logs.values() for record in log if record.kind is Kind.COMMITTED]


@pytest.mark.parametrize("name", Residual.__slots__)
def test_one_watt_more_than_the_ledgers_say_is_seen(name):
    plan, trace = drawn()
    pulled = told(plan, trace.logs)
    area = next(iter(pulled))
    (right,) = pulled[area]
    watts = getattr(right.residual, name)
    pulled[area] = [replace(right, residual=replace(right.residual, **{name: (watts[0] + 1, *watts[1:])}))]
    wrong = phase(plan, trace.logs, pulled)
    assert not wrong.is_good
    assert [one.area for one in wrong.areas if not one.is_good] == [area]
    # What an area claims to have left is also the checker's business, by its own way of adding up.
    assert bool(wrong.violations) is (name in ("could", "wanted", "sold", "bought"))


def test_a_meter_that_is_not_in_the_sum_is_missed():
    plan, trace = drawn()
    pulled = told(plan, trace.logs)
    area = next(iter(pulled))
    pulled[area] = [replace(pulled[area][0], contributors=pulled[area][0].contributors - 1)]
    assert not phase(plan, trace.logs, pulled).is_good


def test_what_is_left_undone_is_not_good():
    plan, trace = drawn()
    assert not phase(plan, trace.logs, {}, settled=False).is_good
    assert not phase(plan, trace.logs, {}, matched=plan.optimum() - 1).is_good


def test_a_ledger_that_lost_a_record_has_revoked_it():
    _, trace = drawn()
    made = commits(trace.logs)[0]
    shorter = trace.logs | {made.device: trace.logs[made.device][: made.number]}
    assert revoked(shorter, trace.logs) == []
    lost = revoked(trace.logs, shorter)
    assert len(lost) == len(trace.logs[made.device]) - made.number
    assert lost[0] == f"{made.device} has lost number {made.number}, committed {made.agreement}"
    assert revoked(trace.logs, {}) != []


def test_an_agreement_across_a_cut_is_a_violation():
    plan, trace = drawn()
    across = next(r for r in commits(trace.logs) if plan.areas[r.device] != plan.areas[r.peer])
    island = frozenset(device for device, area in plan.areas.items() if area == plan.areas[across.device])
    cut = Cut(0.0, across.at + 1.0, (island,))
    assert any(one.startswith("partition") for one in broken(plan, trace.logs, (cut,), (), settled=True))


def test_what_is_matched_is_seen_apart_for_areas_that_are_cut_off():
    lefts = standing([("north", Left((5, 0))), ("south", Left((-3, 0))), ("west", Left((0, 1)))])
    assert not is_matched(lefts, ())
    assert is_matched(lefts, {"north"})
    assert is_matched(lefts, {"south"})
    assert not is_matched(lefts, {"west"})
    assert is_matched(standing([("north", Left((5, -3)))]), ())
    assert not is_matched(standing([("north", Left((5, 0))), ("north", Left((-1, 0)))]), {"north"})


def test_what_several_processes_tell_is_one_standing():
    car, battery = Loose(WAITS, (0, 4), 4), Loose(STORES, (7, 7), 9)
    here = standing([("north", Left((5, -1))), ("north", Left((1, -2))), ("north", Left((0, 0), (car,)))])
    assert here == {"north": [Left((6, 0)), Left((0, -3)), Left((0, 0), (car,))]}
    there = standing([("north", Left((0, 0), (battery,))), ("south", Left((-3, 0)))])
    told = [json.loads(json.dumps(as_told(one))) for one in (here, there)]
    nothing = Left((0, 0))
    assert merged(told) == {
        "north": [*here["north"], nothing, nothing, Left((0, 0), (battery,))],
        "south": [nothing, Left((-3, 0))],
    }


def test_what_can_wait_or_be_stored_until_it_is_needed_is_not_matched_yet():
    waits = Left((0, 0), (Loose(WAITS, (0, 4), 4),))
    assert is_matched(standing([("north", Left((5, 0))), ("north", waits)]), ())
    assert not is_matched(standing([("north", Left((0, 5))), ("north", waits)]), ())
    battery = Left((0, 0), (Loose(STORES, (7, 7), 9), Loose(RETURNS, (7, 7), 14)))
    assert not is_matched(standing([("north", Left((5, 0))), ("north", waits), ("south", battery)]), ())
    assert is_matched(standing([("north", Left((5, 0))), ("north", waits), ("south", battery)]), {"south"})


def test_with_an_area_cut_off_each_part_has_its_own_optimum():
    plan, _ = drawn()
    area = next(iter(plan.areas.values()))
    assert plan.optimum(area) <= plan.optimum() == matched(plan.instance)
    devices = plan.instance.devices
    parts = [tuple(device for device in devices if (device.area == area) is own) for own in (True, False)]
    assert plan.optimum(area) == sum(matched(replace(plan.instance, devices=part)) for part in parts)


def test_what_could_still_be_matched_is_what_no_ledger_has_agreed():
    plan, trace = drawn()
    assert within_reach(plan, trace.logs, 0) == plan.optimum()
    idle = {device: tuple(one for one in log if one.kind is Kind.OFFERED) for device, log in trace.logs.items()}
    assert within_reach(plan, idle, 0) == plan.optimum()
    # Who has left has nothing but what it had agreed; who has not, what it offers now.
    seller = max(plan.offers, key=lambda device: sum(one.device == device for one in commits(trace.logs)))
    gone = Record(seller, len(trace.logs[seller]), 99.0, Kind.OFFERED, watts=zero(24))
    assert within_reach(plan, idle | {seller: (*idle[seller], gone)}, 0) < plan.optimum()
    with_its_promises = trace.logs | {seller: (*trace.logs[seller], gone)}
    assert within_reach(plan, with_its_promises, 0) == decided(plan, trace.logs, 0)[1]


def test_of_each_area_one_leaves_and_another_changes():
    plan, _ = drawn()
    leaving, doubling = plan.restless()
    assert [plan.areas[device] for device in leaving] == [plan.areas[device] for device in doubling]
    assert len(set(leaving + doubling)) == 8
    hierarchy = plan.without(leaving)
    assert hierarchy.home.keys() == plan.hierarchy.home.keys() - set(leaving)
    one = plan.without(leaving[:1])
    # Only its own area is another one.
    kept = [name for name, cluster in plan.hierarchy.clusters.items() if one.clusters.get(name) == cluster]
    assert len(kept) == 4


def test_what_was_agreed_in_an_area_stays_in_it_when_one_of_the_two_has_left():
    plan, trace = drawn()
    leaving, _ = plan.restless()
    assert any(record.peer in leaving or record.device in leaving for record in commits(trace.logs))
    hierarchy = plan.without(leaving)
    told = {
        device: residual_of(Book(device, log), plan.hierarchy if device in leaving else hierarchy, plan.places.get)
        for device, log in trace.logs.items()
    }
    for area, found in exchanges(trace.logs, plan.areas, 0).items():
        here = [told[device] for device, its in plan.areas.items() if its == area]
        assert total((one.sold_beyond for one in here), 24) == found.sold
        assert total((one.bought_beyond for one in here), 24) == found.bought


def test_those_who_met_while_some_were_gone_met_in_the_clusters_of_then():
    """Ten meters of an area are a nano grid and a street; nine are others."""
    plan = draw(population(GRID, 40, 1), DAY, 1)
    leaving, _ = plan.restless()
    stayed = replace(plan.instance, devices=tuple(one for one in plan.instance.devices if one.id not in leaving))
    logs = Run(stayed, plan.without(leaving), Conditions(), Random(1)).run().logs
    areas = area_reports(plan, logs, 0, told(plan, logs))
    assert {one.partition(":")[0] for one in broken(plan, logs, (), areas, settled=True)} == {"level"}
    assert broken(plan, logs, (), areas, settled=True, gone=leaving) == []


def test_a_person_reads_phases_areas_and_hours():
    plan, trace = drawn()
    good = phase(plan, trace.logs, told(plan, trace.logs))
    said = list(lines(report(plan, [good])))
    assert any("calm; 4 areas pulled" in line for line in said)
    assert not any("NOT" in line or "VIOLATED" in line for line in said)
    assert sum(line.startswith("23-24") for line in said) == 2
    assert [line.split() for line in said if "kWh a day" in line] == [["kWh", "a", "day", "before", "agreed", "after"]]
    spoilt = replace(good, violations=["atomic: x"], settled=False)
    said = list(lines(report(plan, [spoilt])))
    assert any("VIOLATED atomic: x" in line for line in said)
    assert any("NOT SETTLED" in line for line in said)
    everything = total((one.exchange.given for one in good.areas), 24)
    assert sum(everything) == sum(watts for offer, _ in plan.offers.values() for watts in offer if watts > 0)
