"""Single replies: each stays as it is or is left out, by the rules of the aggregates."""

from dataclasses import replace

import pytest

from gossip_ws.filters.combiner import FilterCombiner
from gossip_ws.kernel.errors import RemoteError
from gossip_ws.kernel.terms import ALL, Filter
from gossip_ws.ports import Combination, Input
from gossip_ws.services.contract import contract
from gossip_ws.services.metering import MAX_ENERGY, MeteringService

METERING = "urn:gossip-ws:2026:metering"
OPERATIONS = contract(MeteringService, METERING).operations
DEMAND = OPERATIONS[f"{METERING}:GetDemand"].shape
MEASURED = OPERATIONS[f"{METERING}:GetMeasurement"].shape
EVERY = Filter(name=ALL)


def combined(shape, *inputs, final):
    answers = []
    FilterCombiner().combine(EVERY, shape, inputs, final, answers.append)
    (answer,) = answers
    return answer


def below(value):
    return replace(value, own=False)


def test_a_device_judges_its_own_and_the_entry_all(demand):
    good, bad = demand(1, 2, 3), demand(1, 2, MAX_ENERGY + 1)
    assert combined(DEMAND, good, below(bad), final=False) == Combination(b"", ())
    assert combined(DEMAND, bad, below(good), final=False) == Combination(b"", (0,))
    assert combined(DEMAND, good, below(bad), below(good), below(bad), final=True) == Combination(b"", (1, 3))


def test_the_range_holds_for_the_lowest_and_the_highest_of_several_rows(measurement):
    def both(*angles):
        rows = [measurement(230.0, angle).value for angle in angles]
        row = rows[1].split(b"Result>")[1].removesuffix(b"</GetMeasurement")
        return Input(rows[0].replace(b"</GetMeasurementResult>", row + b"</GetMeasurementResult>"), 1, True)

    assert combined(MEASURED, both(170, 170), final=True) == Combination(b"", ())
    assert combined(MEASURED, both(0, 190), final=True) == Combination(b"", (0,))
    assert combined(MEASURED, both(-190, 0), final=True) == Combination(b"", (0,))


@pytest.mark.parametrize("value", [b"", b"<open>", b'<a xmlns="urn:x"/>'])
def test_what_is_no_response_of_the_operation_is_left_out(value):
    assert combined(DEMAND, Input(value, 1, False), final=True) == Combination(b"", (0,))


def test_where_the_operation_is_not_hosted_a_reply_is_any_element(demand):
    junk = Input(b"<open>", 1, False)
    assert combined(None, Input(b"<a/>", 1, False), junk, final=True) == Combination(b"", (1,))


def test_there_is_nothing_to_group():
    FilterCombiner().check(EVERY, DEMAND)
    FilterCombiner().check(EVERY, None)
    with pytest.raises(RemoteError, match="not grouped"):
        FilterCombiner().check(Filter(name=ALL, group_by="category"), DEMAND)
