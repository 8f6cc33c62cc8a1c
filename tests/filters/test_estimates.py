"""`estimate` over the Metering service's shape, and what may be gathered by spread at all."""

from base64 import b64encode
from dataclasses import replace
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from gossip_ws.filters import sketch
from gossip_ws.filters.combiner import FilterCombiner
from gossip_ws.filters.estimates import MAX_OCTETS, MINIMA, MINIMA_OF_GROUPS, Estimator
from gossip_ws.filters.named import Named
from gossip_ws.kernel.contract import Field, Number, Shape
from gossip_ws.kernel.errors import RemoteError
from gossip_ws.kernel.names import METERING, QName, qname
from gossip_ws.kernel.terms import Filter, Gathering
from gossip_ws.ports import Input

SPREAD = Gathering.SPREAD
WH = qname(METERING, "energyWh")
SHAPE = Shape(
    response=qname(METERING, "GetDemandResponse"),
    path=(qname(METERING, "GetDemandResult"),),
    row=qname(METERING, "Demand"),
    keys=(qname(METERING, "category"),),
    fields=(Field(WH, Number.INTEGER, 0, 10**9, 3, 3),),
    elements=(qname(METERING, "category"), WH),
)
DATAGRAM = 3_200
"""Octets of a value that go by datagram (core.spread)."""


def fitted(name="estimate", by="", shape=SHAPE):
    return (
        Estimator.fit(Filter(name, group_by=by), shape, SPREAD)
        if name == "estimate"
        else Named.fit(Filter(name, group_by=by), shape, SPREAD)
    )


def held(value):
    return Input(value, 1, own=False)


def drawn(input, seed):
    return replace(input, seed=seed)


def partial(combiner, *inputs):
    made = combiner.combine(inputs, False)
    assert made.refused == ()
    return made.value


def numbers(value):
    return [int(one.text) for one in etree.fromstring(value).iter(WH)]


def test_sums_counts_and_means_come_with_their_error(demand):
    estimator = fitted()
    homes = [drawn(demand(100 * n, 0, 7, category="household" if n % 2 else "ev"), n) for n in range(1, 31)]
    made = estimator.combine(tuple(held(partial(estimator, home)) for home in homes), True)
    told = made.estimate
    assert told is not None
    assert (told.minima, told.error) == (MINIMA, sketch.error(MINIMA))
    (group,) = told.groups
    assert abs(group.count.value / 30 - 1) < 4 * told.error
    first, second, third = group.fields
    assert (first.name, [field.at for field in group.fields]) == (WH, [0, 1, 2])
    assert abs(first.sum.value / 46_500 - 1) < 4 * told.error
    assert abs(first.mean.value / 1_550 - 1) < 4 * told.mean_error
    assert second.sum == second.mean == sketch.Estimated(0.0, 0.0, 0.0)
    assert abs(third.mean.value / 7 - 1) < 4 * told.mean_error
    # The response is the operation's own, with the sums; rows of several categories read `mixed`.
    assert numbers(made.value) == [round(float(f"{field.sum.value:.9g}")) for field in group.fields]
    assert b">mixed<" in made.value


def test_groups_are_estimated_each(demand):
    estimator = fitted(by="category")
    homes = [drawn(demand(10, 10, 10), n) for n in range(40)]
    cars = [drawn(demand(1000, 0, 0, category="ev"), n) for n in range(100, 110)]
    made = estimator.combine((*homes, *cars), True)
    assert made.estimate is not None
    assert [group.key for group in made.estimate.groups] == ["ev", "household"]
    assert made.estimate.minima == MINIMA_OF_GROUPS
    for group, size in zip(made.estimate.groups, (10, 40), strict=True):
        assert abs(group.count.value / size - 1) < 4 * made.estimate.error


def test_the_same_seed_draws_the_same_and_another_does_not(demand):
    estimator = fitted()
    once, again, other = (partial(estimator, drawn(demand(1, 2, 3), seed)) for seed in (5, 5, 6))
    assert once == again != other
    assert partial(estimator, held(once), drawn(demand(1, 2, 3), 5)) == once


def test_rows_of_one_device_add_and_its_range_holds_for_them_together(demand):
    def two(*energies):
        rows = "".join(
            f"<Demand><category>c{n}</category>{''.join(f'<energyWh>{wh}</energyWh>' for wh in three)}</Demand>"
            for n, three in enumerate(energies)
        )
        whole = f'<GetDemandResponse xmlns="{METERING}"><GetDemandResult>{rows}</GetDemandResult></GetDemandResponse>'
        return Input(whole.encode(), 1, own=True, seed=9)

    estimator = fitted()
    both = estimator.combine((two((10, 0, 1), (20, 0, 1)),), True)
    one = estimator.combine((two((30, 0, 2)),), True)
    assert numbers(both.value) == numbers(one.value)
    assert estimator.combine((two((10**9, 0, 0), (1, 0, 0)),), False).refused == (0,)


def test_a_sketch_of_the_metering_service_fits_a_datagram(demand):
    assert len(partial(fitted(), *(drawn(demand(5, 6, 7, category=f"c{n}"), n) for n in range(9)))) <= DATAGRAM
    by = fitted(by="category")
    four = partial(by, *(drawn(demand(5, 6, 7, category=f"category {n}"), n) for n in range(4)))
    assert len(four) <= DATAGRAM


def test_no_more_groups_are_kept_than_an_envelope_holds(demand):
    by = fitted(by="category")
    many = tuple(drawn(demand(5, 6, 7, category=f"c{n:02}"), n) for n in range(40))
    made = by.combine(many, False)
    most = MAX_OCTETS // (2 * 4 * MINIMA_OF_GROUPS)
    assert made.refused == tuple(range(most, 40))
    assert len(made.value) < 30_000


energies = st.tuples(*[st.integers(0, 10**9)] * 3)
devices = st.lists(st.tuples(energies, st.sampled_from(["household", "ev", "heat"])), min_size=1, max_size=5)


@settings(deadline=None, max_examples=25)
@given(
    st.lists(devices, min_size=3, max_size=3),
    st.sampled_from([("estimate", ""), ("estimate", "category"), ("max", ""), ("min", "category"), ("set", "")]),
)
def test_merging_in_wire_form_is_associative_commutative_and_idempotent(demand, three, named):
    combiner = fitted(*named)
    values = []
    for number, some in enumerate(three):
        inputs = [drawn(demand(*wh, category=kind), 10 * number + n) for n, (wh, kind) in enumerate(some)]
        values.append(partial(combiner, *inputs))

    def merged(*parts):
        return partial(combiner, *map(held, parts))

    a, b, c = values
    assert merged(merged(a, b), c) == merged(a, merged(b, c)) == merged(a, b, c)
    assert merged(a, b) == merged(b, a)
    assert merged(a, a) == merged(a) == a
    assert combiner.combine((held(merged(a, b, c)),), True).refused == ()


def row(count, *fields, key="household", k=MINIMA):
    cells = "".join(f"<g:Minima>{field}</g:Minima>" for field in fields)
    return (
        f'<g:Sketch xmlns:g="urn:gossip-ws:2026" K="{k}"><g:Row><g:Key>{key}</g:Key><g:Count>{count}</g:Count>{cells}'
        "</g:Row></g:Sketch>"
    ).encode()


def vector(code, times=MINIMA):
    return b64encode(code.to_bytes(2, "big") * times).decode()


ONE = 160 * 256
"""The code of a minimum of 1: of about one device."""
NEVER = vector(sketch.NEVER)
THREE = " ".join([vector(ONE - 256)] * 3)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (row(vector(ONE), THREE, k=64), "another K"),
        (row(NEVER, THREE), "a count of nobody"),
        (row(vector(0), THREE), "more devices than there are"),
        (row(vector(ONE), f"{NEVER} {vector(ONE - 40 * 256)} {NEVER}"), "more than one device gives"),
        (row(vector(ONE), THREE + " " + NEVER), "too many occurrences"),
        (row(vector(ONE), vector(ONE)), "too few occurrences"),
        (row(vector(ONE), THREE, THREE), "too many fields"),
        (row(vector(ONE, MINIMA - 1), THREE), "a minimum missing"),
        (row(vector(ONE)[:-4] + "!!!!", THREE), "not base64"),
        (row("A" * 100_000, THREE), "too long"),
        (row(vector(ONE), THREE, key="x" * 65), "a long key"),
        (b"<a/>", "another element"),
        (b"junk", "no XML"),
    ],
)
def test_a_poisoned_or_broken_sketch_is_refused(value, why, demand):
    estimator = fitted()
    own = drawn(demand(1, 2, 3), 1)
    made = estimator.combine((own, held(value)), False)
    assert (made.refused, why) == ((1,), why)
    assert made.value == partial(estimator, own)


def test_a_sketch_within_what_devices_can_give_is_taken(demand):
    assert fitted().combine((held(row(vector(ONE), THREE)),), False).refused == ()


def test_one_group_twice_is_refused():
    by = fitted(by="category")
    small, three = vector(ONE, 64), " ".join([vector(ONE, 64)] * 3)
    one = row(small, three, k=64)
    inner = one[one.index(b"<g:Row>") : one.index(b"</g:Sketch>")]
    assert by.combine((held(one),), False).refused == ()
    assert by.combine((held(one.replace(inner, inner * 2)),), False).refused == (0,)
    assert by.combine((held(one.replace(inner, inner * 33)),), False).refused == (0,)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_octets_raise(junk):
    assert fitted().combine((held(junk),), False).refused == (0,)


def refusal(filter, gathering=SPREAD, shape=SHAPE):
    with pytest.raises(RemoteError) as caught:
        FilterCombiner().check(filter, shape, gathering)
    assert caught.value.fault.subcode.endswith("FilterNotAllowed")
    return caught.value.fault.reason


def test_what_must_not_take_a_value_in_twice_is_refused_where_it_would():
    for name in ("sum", "mean", "count"):
        assert "must not take a value in twice" in refusal(Filter(name))
    assert "stylesheet" in refusal(Filter(stylesheet="<xsl:stylesheet/>"))
    for name in ("max", "min", "set", "estimate"):
        FilterCombiner().check(Filter(name), SHAPE, SPREAD)
    for name in ("sum", "max", "min", "set", "mean", "count"):
        FilterCombiner().check(Filter(name), SHAPE, Gathering.TREE)
    assert "a tree has sum and mean" in refusal(Filter("estimate"), Gathering.TREE)


@pytest.mark.parametrize("low", [None, -1.0])
def test_what_may_be_negative_is_not_estimated(low):
    shape = replace(SHAPE, fields=(replace(SHAPE.fields[0], low=low),))
    assert "energyWh may be negative" in refusal(Filter("estimate"), shape=shape)
    assert "where its numbers are" in refusal(Filter("estimate"), shape=None)
    assert "no key" in refusal(Filter("estimate", group_by="colour"))


def test_where_neighbours_exchange_nobody_counts_devices(demand):
    highest = fitted("max")
    one, two = partial(highest, demand(1, 9, 1)), partial(highest, demand(5, 2, 1))
    both = partial(highest, held(one), held(two))
    assert b'N="1"' in both
    assert numbers(highest.combine((held(both),), True).value) == [5, 9, 1]
    # What counts devices is from somebody who gathers by a tree, or lies.
    assert highest.combine((held(both.replace(b'N="1"', b'N="2"')),), False).refused == (0,)
    assert highest.combine((held(both.replace(b">5 9 1<", b">5 9000000000 1<")),), False).refused == (0,)


def test_a_set_has_each_key_once_and_is_bounded(demand):
    kinds = fitted("set")
    some = tuple(demand(1, 2, 3, category=f"c{n % 7}") for n in range(20))
    made = kinds.combine(some, True)
    assert [row.findtext(SHAPE.keys[0]) for row in etree.fromstring(made.value).iter(SHAPE.row)] == [
        f"c{n}" for n in range(7)
    ]
    # Its schema demands numbers where a set has none.
    assert set(numbers(made.value)) == {0}
    many = [demand(0, 0, 0, category=f"c{n:02}") for n in range(40)]
    first, second = partial(kinds, *many[20:]), partial(kinds, *many[:20])
    assert partial(kinds, held(first), held(second)) == partial(kinds, *many[:32])
    numbered = first.replace(b"<g:Values></g:Values>", b"<g:Values>1</g:Values>")
    assert kinds.combine((held(numbered),), False).refused == (0,)


def test_a_set_names_its_key():
    shape = replace(SHAPE, keys=(*SHAPE.keys, QName("{urn:x}phase")))
    assert "name the key" in refusal(Filter("set"), shape=shape)
    FilterCombiner().check(Filter("set", group_by="phase"), shape, SPREAD)


def test_a_set_climbs_a_tree_too(demand):
    kinds = Named.fit(Filter("set"), SHAPE)
    climbed = kinds.combine((demand(1, 2, 3), demand(4, 5, 6), demand(7, 8, 9, category="ev")), False)
    assert b'N="2"' in climbed.value
    assert fmean(numbers(kinds.combine((Input(climbed.value, 3, False),), True).value)) == 0


def test_numbers_that_must_be_there_are_in_range():
    least = replace(SHAPE, fields=(replace(SHAPE.fields[0], low=5.0),))
    kinds = fitted("set", shape=least)
    value = b'<g:Rows xmlns:g="urn:gossip-ws:2026"><g:Row N="1"><g:Key>a</g:Key><g:Values></g:Values></g:Row></g:Rows>'
    assert numbers(kinds.combine((held(value),), True).value) == [5, 5, 5]


def test_decimals_and_doubles_are_written_as_such(demand):
    for number, sign in ((Number.DECIMAL, "."), (Number.DOUBLE, ".")):
        shape = replace(SHAPE, fields=(replace(SHAPE.fields[0], number=number),))
        made = fitted(shape=shape).combine((drawn(demand(10, 20, 30), 4),), True)
        assert all(sign in (one.text or "") for one in etree.fromstring(made.value).iter(WH))
