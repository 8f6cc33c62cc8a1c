"""What many devices know of one message, in one value: counts add up, pages of names are exact."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from gossip_ws.core.account import Lack, Lacking
from gossip_ws.filters.combiner import FilterCombiner
from gossip_ws.filters.pages import MAX_NAMES, MAX_OCTETS, Page, merge, page
from gossip_ws.filters.report import RESPONSE
from gossip_ws.kernel.errors import RemoteError
from gossip_ws.kernel.names import METERING, REPORT, qname
from gossip_ws.kernel.terms import Filter
from gossip_ws.ports import Input
from gossip_ws.services.contract import contract
from gossip_ws.services.metering import MeteringService
from gossip_ws.services.reporting import ReportService

OPERATION = contract(ReportService, REPORT).operations[f"{REPORT}:GetReport"]
NAMED = Filter(name="report")


def name(number):
    return f"urn:uuid:{number:08x}-0000-4000-8000-000000000000"


def lacks(number, standing=Lack.MISSING, devices=1):
    return Lacking(name(number), standing, devices)


def own(held=1, devices=1, limit=10, complete="true", lacking=""):
    return Input(
        f'<GetReportResponse xmlns="{REPORT}"><GetReportResult><held>{held}</held><devices>{devices}</devices>'
        f"<names><limit>{limit}</limit><complete>{complete}</complete>{lacking}</names>"
        f"</GetReportResult></GetReportResponse>".encode(),
        1,
        own=True,
    )


def lacking(number, standing="missing", devices=1):
    return (
        f"<lacking><device>{name(number)}</device><standing>{standing}</standing><devices>{devices}</devices></lacking>"
    )


def combined(inputs, final, named=NAMED):
    results = []
    FilterCombiner().combine(named, OPERATION.shape, tuple(inputs), final, results.append)
    return results[0]


def told(value):
    """(held, devices, complete, names) of a response."""
    root = etree.fromstring(value)
    assert root.tag == RESPONSE

    def texts(local):
        return [element.text for element in root.iter(qname(REPORT, local))]

    names = list(zip(texts("device"), texts("standing"), texts("devices")[1:], strict=True))
    return int(texts("held")[0]), int(texts("devices")[0]), texts("complete") == ["true"], names


def test_counts_add_up_and_names_merge_on_the_way_and_at_the_entry():
    below = combined([own(), own(held=0, lacking=lacking(7))], final=False)
    assert below.refused == ()
    top = combined([own(held=0, lacking=lacking(3)), Input(below.value, 2, own=False)], final=True)
    assert told(top.value) == (1, 3, True, [(name(3), "missing", "1"), (name(7), "missing", "1")])


def test_the_answer_is_valid_by_the_services_own_schema():
    value = combined([own(held=0, lacking=lacking(3, "refused"))], final=True).value
    contract(ReportService, REPORT)._schema.assertValid(etree.fromstring(value))


def test_the_sum_of_a_client_that_knows_no_report_has_the_counts():
    value = combined([own(), own(held=0, lacking=lacking(3))], final=True, named=Filter(name="sum")).value
    root = etree.fromstring(value)
    assert [element.text for element in root[0]] == ["1", "2"]


@pytest.mark.parametrize(
    "junk",
    [
        own(limit=0),
        own(limit=MAX_NAMES + 1),
        own(complete="perhaps"),
        own(complete="false"),
        own(held=2),
        own(devices=0),
        own(lacking=lacking(3, "asleep")),
        own(lacking=lacking(3, devices=0)),
        own(lacking=lacking(4) + lacking(3)),
        own(lacking=lacking(3) + lacking(3)),
        own(limit=1, lacking=lacking(3) + lacking(4)),
        own(lacking=lacking(3).replace(name(3), "x" * 129)),
        Input(b"<Junk/>", 1, own=True),
        Input(b"<Junk/>", 1, own=False),
        Input(b'<g:Reports xmlns:g="urn:gossip-ws:2026" Limit="3" Complete="true"/>', 1, own=False),
        Input(b"junk", 1, own=False),
    ],
)
def test_junk_is_left_out_with_its_counts_and_its_names(junk):
    result = combined([own(), junk, own(held=0, lacking=lacking(9))], final=True)
    assert result.refused == (1,)
    assert told(result.value) == (1, 2, True, [(name(9), "missing", "1")])


def test_a_partial_that_counts_more_than_its_contributors_is_left_out():
    below = combined([own(), own()], final=False)
    result = combined([own(), Input(below.value, 1, own=False)], final=True)
    assert result.refused == (1,)


def test_it_fits_no_other_operation_and_no_key():
    combiner = FilterCombiner()
    demand = contract(MeteringService, METERING).operations[f"{METERING}:GetDemand"]
    for filter, shape in (
        (NAMED, demand.shape),
        (NAMED, None),
        (Filter(name="report", group_by="standing"), OPERATION.shape),
    ):
        with pytest.raises(RemoteError):
            combiner.check(filter, shape)
    combiner.check(NAMED, OPERATION.shape)


def test_of_two_entries_of_one_name_the_one_with_more_behind_it_stays():
    one, other = page([lacks(1, Lack.MISSING, 3)], "", 5), page([lacks(1, Lack.FAILED, 1)], "", 5)
    assert merge([one, other]) == merge([other, one]) == one


def test_who_is_counted_is_not_blamed_by_who_could_not_know():
    blamed = page([lacks(1, Lack.MISSING, 9)], "", 5)
    counted, unknown = page([lacks(1, Lack.COUNTED)], "", 5), page([lacks(1, Lack.UNKNOWN, 30)], "", 5)
    assert merge([blamed, counted, unknown]) == merge([unknown, counted, blamed]) == counted
    assert merge([blamed, unknown]) == blamed


def test_what_lies_beyond_a_cut_page_waits_for_the_next():
    cut, whole = page([lacks(1), lacks(5)], "", 1), page([lacks(2), lacks(9)], "", 10)
    assert cut == Page(1, False, (lacks(1),))
    assert merge([cut, whole]) == Page(1, False, (lacks(1),))
    wide = page([lacks(n) for n in (1, 5, 6)], "", 2)
    assert merge([wide, page([lacks(7)], "", 3)]) == Page(2, False, (lacks(1), lacks(5)))


def test_a_page_of_long_names_is_cut_by_octets():
    long = [Lacking(f"{number:04}" + "&" * 124, Lack.MISSING, 1) for number in range(100)]
    first = page(long, "", MAX_NAMES)
    assert not first.complete
    assert 1 < len(first.entries) < 100
    assert sum(len(entry.device) + 5 * entry.device.count("&") for entry in first.entries) < MAX_OCTETS
    read = list(first.entries)
    while not first.complete:
        first = page(long, read[-1].device, MAX_NAMES)
        read += first.entries
    assert read == long


def fold(dice, pages):
    """Merged in any tree."""
    pages = list(pages)
    while len(pages) > 1:
        dice.shuffle(pages)
        several = [pages.pop() for _ in range(min(len(pages), dice.randint(2, 4)))]
        pages.append(merge(several))
    return merge(pages)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.lists(st.sets(st.integers(0, 400), max_size=30), min_size=1, max_size=12),
    st.integers(1, 40),
    st.integers(0, 2**32),
)
def test_the_pages_of_any_tree_together_are_the_set_and_never_overlap(sets, limit, seed):
    dice = Random(seed)
    devices = [[lacks(number) for number in numbers] for numbers in sets]
    read, after = [], ""
    while True:
        # A device may have been asked for less; it still may not hide a name.
        pages = [page(one, after, dice.choice([limit, limit, max(1, limit - 1)])) for one in devices]
        whole = fold(dice, pages)
        assert len(whole.entries) <= limit
        read += [entry.device for entry in whole.entries]
        if whole.complete:
            break
        after = read[-1]
    assert read == sorted({name(number) for numbers in sets for number in numbers})
