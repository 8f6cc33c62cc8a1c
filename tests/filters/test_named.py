"""Named aggregates: what comes out, in partial and final form, and that the order never matters."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from gossip_ws.filters.named import Named
from gossip_ws.kernel.contract import Field, Number, Shape
from gossip_ws.kernel.errors import RemoteError
from gossip_ws.kernel.names import QName
from gossip_ws.kernel.terms import Filter
from gossip_ws.ports import Input

NS = "urn:test"


def q(local: str) -> QName:
    return QName(f"{{{NS}}}{local}")


SHAPE = Shape(
    response=q("Response"),
    path=(q("Result"),),
    row=q("Demand"),
    keys=(q("category"), q("phase")),
    fields=(
        Field(q("energyWh"), Number.INTEGER, -1_000_000, 1_000_000),
        Field(q("price"), Number.DECIMAL, -1000.0, 1000.0),
        Field(q("voltage"), Number.DOUBLE, -500.0, 500.0),
    ),
    elements=(q("category"), q("note"), q("energyWh"), q("phase"), q("price"), q("voltage")),
)
SCHEMA = etree.XMLSchema(
    etree.fromstring(f"""
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="{NS}" elementFormDefault="qualified">
 <xs:element name="Response"><xs:complexType><xs:sequence><xs:element name="Result"><xs:complexType><xs:sequence>
  <xs:element name="Demand" minOccurs="0" maxOccurs="unbounded"><xs:complexType><xs:sequence>
   <xs:element name="category" type="xs:string" minOccurs="0"/><xs:element name="note" type="xs:string" minOccurs="0"/>
   <xs:element name="energyWh" type="xs:integer" minOccurs="0" maxOccurs="unbounded"/>
   <xs:element name="phase" type="xs:string" minOccurs="0"/>
   <xs:element name="price" type="xs:decimal" minOccurs="0" maxOccurs="unbounded"/>
   <xs:element name="voltage" type="xs:double" minOccurs="0" maxOccurs="unbounded"/>
  </xs:sequence></xs:complexType></xs:element></xs:sequence></xs:complexType></xs:element></xs:sequence></xs:complexType>
 </xs:element></xs:schema>""")
)


def row(category: str, *energy: object, phase: str = "", price: object = None, voltage: object = None) -> str:
    return (
        f"<Demand><category>{category}</category><note>mine</note>"
        + "".join(f"<energyWh>{value}</energyWh>" for value in energy)
        + (f"<phase>{phase}</phase>" if phase else "")
        + ("" if price is None else f"<price>{price}</price>")
        + ("" if voltage is None else f"<voltage>{voltage}</voltage>")
        + "</Demand>"
    )


def own(*rows: str) -> Input:
    return Input(f'<Response xmlns="{NS}"><Result>{"".join(rows)}</Result></Response>'.encode(), 1, True)


def partial(value: bytes, contributors: int) -> Input:
    return Input(value, contributors, False)


def raw(rows: str, contributors: int = 1) -> Input:
    return partial(f'<g:Rows xmlns:g="urn:gossip-ws:2026">{rows}</g:Rows>'.encode(), contributors)


def named(name: str, by: str = "") -> Named:
    return Named.fit(Filter(name=name, group_by=by), SHAPE)


def rows(answer: bytes) -> list[dict[str, list[str]]]:
    root = etree.fromstring(answer)
    SCHEMA.assertValid(root)
    found = []
    for element in root.iter(q("Demand")):
        children: dict[str, list[str]] = {}
        for child in element:
            children.setdefault(etree.QName(child).localname, []).append(child.text or "")
        found.append(children)
    return found


def answer(name: str, *inputs: Input, by: str = "") -> list[dict[str, list[str]]]:
    made = named(name, by).combine(inputs, True)
    assert made.refused == ()
    return rows(made.value)


HOME = own(row("home", 10, 20, 30, price="0.10", voltage=230.5))
EV = own(row("ev", 1, 2, 2**19, price="0.2", voltage=229.5))


def test_the_sum_of_two_devices_in_partial_form_is_one_canonical_text() -> None:
    made = named("sum").combine((HOME, EV), False)
    assert made.value == (
        b'<g:Rows xmlns:g="urn:gossip-ws:2026"><g:Row N="2"><g:Key>mixed</g:Key><g:Key></g:Key>'
        b"<g:Values>11 22 524318</g:Values><g:Values>0.3</g:Values><g:Values>460.0</g:Values></g:Row></g:Rows>"
    )
    assert named("sum").combine((EV, HOME), False).value == made.value


def test_a_mean_travels_as_sums_and_numbers_of_values() -> None:
    made = named("mean", "category").combine((HOME, own(row("home", 11, 20))), False)
    assert b"<g:Values>21 2 40 2 30 1</g:Values><g:Values>0.1 1</g:Values>" in made.value


def test_every_aggregate_of_two_devices() -> None:
    both = (own(row("a", 1, 10, price="1.50", voltage=1.5)), own(row("a", 4, 3, price="-2", voltage=3)))
    assert answer("sum", *both) == [{"category": ["a"], "energyWh": ["5", "13"], "price": ["-0.5"], "voltage": ["4.5"]}]
    assert answer("max", *both) == [{"category": ["a"], "energyWh": ["4", "10"], "price": ["1.5"], "voltage": ["3.0"]}]
    assert answer("min", *both) == [{"category": ["a"], "energyWh": ["1", "3"], "price": ["-2"], "voltage": ["1.5"]}]
    # 2.5 and 6.5 in whole Wh: ties go to the even neighbour.
    assert answer("mean", *both) == [
        {"category": ["a"], "energyWh": ["2", "6"], "price": ["-0.25"], "voltage": ["2.25"]}
    ]
    assert answer("count", *both) == [{"category": ["a"], "energyWh": ["2", "2"], "price": ["2"], "voltage": ["2"]}]


def test_several_rows_of_one_device_in_one_group_count_the_device_once() -> None:
    two = own(row("a", 1), row("b", 5))
    one = own(row("a", 3))
    assert answer("sum", two, one)[0]["energyWh"] == ["9"]
    assert answer("count", two, one)[0]["energyWh"] == ["2"]
    assert answer("mean", two, one)[0]["energyWh"] == ["3"]
    assert b'N="2"' in named("sum").combine((two, one), False).value
    assert [found["energyWh"] for found in answer("count", two, one, by="category")] == [["2"], ["1"]]


def test_groups_keep_their_key_and_other_keys_read_mixed() -> None:
    inputs = (own(row("home", 1, phase="L1")), own(row("home", 2, phase="L2")), own(row("ev", 4, phase="L1")))
    assert answer("sum", *inputs, by="category") == [
        {"category": ["ev"], "energyWh": ["4"], "phase": ["L1"]},
        {"category": ["home"], "energyWh": ["3"], "phase": ["mixed"]},
    ]
    assert answer("sum", *inputs, by="phase") == [
        {"category": ["mixed"], "energyWh": ["5"], "phase": ["L1"]},
        {"category": ["home"], "energyWh": ["2"], "phase": ["L2"]},
    ]
    assert answer("sum", *inputs) == [{"category": ["mixed"], "energyWh": ["7"], "phase": ["mixed"]}]


def test_integers_stay_integers_where_xslt_would_print_an_exponent() -> None:
    inputs = [
        raw(f'<g:Row N="9000"><g:Key>a</g:Key><g:Key/><g:Values>{2**31}</g:Values><g:Values/><g:Values/></g:Row>', 9000)
    ] * 4
    assert answer("sum", *inputs)[0]["energyWh"] == [str(2**33)]


def test_nobody_gives_a_response_without_rows() -> None:
    assert answer("sum") == []
    assert answer("sum", own()) == []


GOOD = '<g:Row N="2"><g:Key>a</g:Key><g:Key/><g:Values>3</g:Values><g:Values/><g:Values/></g:Row>'
BAD = {
    "not XML": partial(b"<g:Rows", 2),
    "empty": partial(b"", 2),
    "a document type": partial(b'<!DOCTYPE a [<!ENTITY e "1">]><a>&e;</a>', 2),
    "too large": partial(b"<a>" + b" " * 40_000 + b"</a>", 2),
    "another element": partial(b"<a/>", 2),
    "the final form": partial(HOME.value, 2),
    "more devices than contributors": raw(GOOD, 1),
    "no devices": raw(GOOD.replace('"2"', '"0"'), 2),
    "negative devices": raw(GOOD.replace('"2"', '"-1"'), 2),
    "other digits": raw(GOOD.replace('"2"', '"²"'), 2),
    "no contributors": raw("", 0),
    "sum above what two can give": raw(GOOD.replace(">3<", ">2000001<"), 2),
    "sum below what two can give": raw(GOOD.replace(">3<", ">-2000001<"), 2),
    "float for an integer": raw(GOOD.replace(">3<", ">3.0<"), 2),
    "exponent for an integer": raw(GOOD.replace(">3<", ">3e5<"), 2),
    "not a number": raw(GOOD.replace(">3<", ">NaN<"), 2),
    "underscores": raw(GOOD.replace(">3<", ">3_0<"), 2),
    "a thousand digits": raw(GOOD.replace(">3<", f">{'0' * 1000}<"), 2),
    "one group twice": raw(GOOD + GOOD, 2),
    "a field short": raw(GOOD.replace("<g:Values/></g:Row>", "</g:Row>"), 2),
    "a long key": raw(GOOD.replace(">a<", f">{'a' * 65}<"), 2),
    "too many numbers": raw(GOOD.replace(">3<", f">{'1 ' * 300}<"), 2),
    "own of another operation": Input(b"<a/>", 1, True),
    "own out of range": own(row("a", 1_000_001)),
    "own infinite": own(row("a", 1, voltage="INF")),
    "own with many rows": own(*[row("a", 1)] * 33),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_input_is_left_out_and_said_so(bad: Input) -> None:
    made = named("sum").combine((HOME, bad, raw(GOOD, 2)), True)
    assert made.refused == (1,)
    assert rows(made.value)[0]["energyWh"] == ["13", "20", "30"]


def test_the_range_rule_of_the_other_aggregates() -> None:
    def refused(name: str, text: str) -> bool:
        return named(name).combine((raw(GOOD.replace(">3<", f">{text}<"), 2),), False).refused == (0,)

    assert not refused("max", "1000000")
    assert refused("max", "1000001")
    assert refused("min", "-1000001")
    assert not refused("mean", "2000000 2")
    assert refused("mean", "2000001 2")
    assert refused("mean", "0 0")
    assert refused("mean", "0 100000")
    assert refused("mean", "5")
    assert not refused("count", "2")
    assert refused("count", "3")
    assert refused("count", "0")


def test_a_declared_decimal_range_is_decimal() -> None:
    shape = Shape(q("Response"), (), q("Demand"), (), (Field(q("price"), Number.DECIMAL, 0.1, 0.3),), (q("price"),))
    value = Input(f'<Response xmlns="{NS}"><Demand><price>0.1</price></Demand></Response>'.encode(), 1, True)
    combiner = Named.fit(Filter(name="sum"), shape)
    made = combiner.combine((value, value, value), False)
    assert made.refused == ()
    assert b"0.3<" in made.value


@pytest.mark.parametrize("high", [0.1, 1])
def test_doubles_at_the_edge_of_their_range_may_round_beyond_it(high: float) -> None:
    shape = Shape(q("Response"), (), q("Demand"), (), (Field(q("voltage"), Number.DOUBLE, 0, high),), (q("voltage"),))
    value = Input(f'<Response xmlns="{NS}"><Demand><voltage>{high}</voltage></Demand></Response>'.encode(), 1, True)
    combiner = Named.fit(Filter(name="sum"), shape)
    made = combiner.combine((value,) * 7, False)
    text = made.value.replace(b"0.7", b"0.7000000000000001").replace(b"7.0<", b"7.000000000000001<")
    assert combiner.combine((partial(text, 7),), True).refused == ()
    assert combiner.combine((partial(text.replace(b"0000", b"1000"), 7),), True).refused == (0,)


def test_occurrences_that_the_schema_forbids_are_refused() -> None:
    field = Field(q("energyWh"), Number.INTEGER, least=2, most=2)
    shape = Shape(q("Response"), (q("Result"),), q("Demand"), (), (field,), (q("energyWh"),))
    for name in ("sum", "mean", "count"):
        combiner = Named.fit(Filter(name=name), shape)
        made = combiner.combine((own(row("a", 1)), own(row("a", 1, 2)), own(row("a", 1, 2, 3))), False)
        assert made.refused == (0, 2)
        assert combiner.combine((partial(made.value, 1),), True).refused == ()


def test_junk_groups_cannot_crowd_out_the_own_value() -> None:
    template = '<g:Row N="1"><g:Key>k{}</g:Key><g:Key/><g:Values>1</g:Values><g:Values/><g:Values/></g:Row>'
    junk = raw("".join(template.format(number) for number in range(32)))
    made = named("sum", "category").combine((junk, HOME), True)
    assert made.refused == (0,)
    assert [found["category"] for found in rows(made.value)] == [["home"]]


@pytest.mark.parametrize(
    "filter", [Filter(name="median"), Filter(name="__class__"), Filter(name="sum", group_by="energyWh"), Filter()]
)
def test_what_is_no_aggregate_of_this_shape(filter: Filter) -> None:
    with pytest.raises(RemoteError) as caught:
        Named.fit(filter, SHAPE)
    assert caught.value.fault.subcode.endswith("FilterNotAllowed")


def test_without_a_shape_there_is_nothing_to_add() -> None:
    with pytest.raises(RemoteError):
        Named.fit(Filter(name="sum"), None)


DEVICES = st.lists(
    st.lists(
        st.builds(
            lambda category, phase, energy, price, voltage: row(
                category, *energy, phase=phase, price=price, voltage=repr(voltage)
            ),
            st.sampled_from(["home", "ev", "mixed", ""]),
            st.sampled_from(["L1", "L2"]),
            st.lists(st.integers(-50_000, 50_000), max_size=4),
            st.decimals(-100, 100, places=5),
            st.floats(-100.0, 100.0),
        ),
        max_size=3,
    ),
    min_size=1,
    max_size=8,
)


@settings(deadline=None, max_examples=120)
@given(
    devices=DEVICES,
    name=st.sampled_from(["sum", "max", "min", "mean", "count"]),
    by=st.sampled_from(["", "category", "phase"]),
    data=st.data(),
)
def test_any_tree_of_combinations_gives_what_one_combination_gives(
    devices: list[list[str]], name: str, by: str, data: st.DataObject
) -> None:
    combiner = named(name, by)
    leaves = [own(*device) for device in devices]
    flat = combiner.combine(tuple(leaves), True)
    assert flat.refused == ()

    # Devices answer their parent one by one or in groups, in any order, until one value is left.
    waiting = [
        partial(combiner.combine((leaf,), False).value, 1) if data.draw(st.booleans()) else leaf for leaf in leaves
    ]
    while len(waiting) > 1:
        taken = data.draw(st.permutations(waiting))
        size = data.draw(st.integers(2, len(taken)))
        made = combiner.combine(tuple(taken[:size]), False)
        assert made.refused == ()
        waiting = [*taken[size:], partial(made.value, sum(value.contributors for value in taken[:size]))]
    tree = combiner.combine(tuple(waiting), True)
    assert tree.refused == ()

    scale = max(1.0, 100.0 * sum(map(len, devices)))
    ours, theirs = rows(tree.value), rows(flat.value)
    for one, other in zip(ours, theirs, strict=True):
        doubles = zip(one.pop("voltage"), other.pop("voltage"), strict=True)
        assert all(abs(float(a) - float(b)) <= 1e-9 * scale for a, b in doubles)
    assert ours == theirs


@settings(deadline=None)
@given(st.lists(st.decimals(-1000, 1000, places=12), min_size=1, max_size=20))
def test_sums_of_decimals_are_exact(values: list[Decimal]) -> None:
    made = answer("sum", *(own(row("a", price=f"{value:f}")) for value in values))
    assert Decimal(made[0]["price"][0]) == sum(values)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_octets_raise(junk: bytes) -> None:
    assert named("sum").combine((partial(junk, 3),), False).refused == (0,)
