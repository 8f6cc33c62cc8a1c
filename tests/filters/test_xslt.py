"""Stylesheets in the real worker: what they make, and what a bad one costs."""

import asyncio
import os
from collections.abc import Callable
from importlib.resources import files

import pytest
from lxml import etree

from gossip_ws.filters.combiner import FilterCombiner
from gossip_ws.filters.runner import AsyncRunner, BlockingRunner, Failure, Job, Passes, Result, Runner, Trouble
from gossip_ws.kernel.contract import Field, Number, Shape
from gossip_ws.kernel.errors import Fault, FaultCode, RemoteError
from gossip_ws.kernel.names import METERING, qname
from gossip_ws.kernel.terms import Filter
from gossip_ws.ports import Combination, Input

DEMAND = Shape(
    qname(METERING, "GetDemandResponse"),
    (qname(METERING, "GetDemandResult"),),
    qname(METERING, "Demand"),
    (qname(METERING, "category"),),
    (Field(qname(METERING, "energyWh"), Number.INTEGER, 0, 1e9, 3, 3),),
    (qname(METERING, "category"), qname(METERING, "energyWh")),
)
MEASUREMENT = Shape(
    qname(METERING, "GetMeasurementResponse"),
    (qname(METERING, "GetMeasurementResult"),),
    qname(METERING, "Measurement"),
    (),
    tuple(Field(qname(METERING, name), Number.DOUBLE) for name in ("voltage", "phaseAngle", "power")),
    tuple(qname(METERING, name) for name in ("voltage", "phaseAngle", "power")),
)
Make = Callable[..., Input]
Answer = Combination | Fault


def example(name: str) -> Filter:
    return Filter(stylesheet=(files("gossip_ws.wsdl") / f"{name}.xslt").read_text(encoding="utf-8"))


def sheet(body: str, forms: str = "same", top: str = "") -> str:
    return (
        f'<xsl:stylesheet version="1.0" g:forms="{forms}" xmlns:g="urn:gossip-ws:2026" '
        f'xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:m="{METERING}" exclude-result-prefixes="g">'
        f'{top}<xsl:template match="/">{body}</xsl:template></xsl:stylesheet>'
    )


def combine(runner: Runner, filter: Filter, shape: Shape | None, *inputs: Input, final: bool = True) -> Answer:
    answers: list[Answer] = []
    FilterCombiner(runner).combine(filter, shape, inputs, final, answers.append)
    assert len(answers) == 1
    return answers[0]


def value(answer: Answer) -> bytes:
    assert isinstance(answer, Combination), answer
    return answer.value


def plain(xml: bytes) -> str:
    """Without prefixes of its own choice."""
    return str(etree.canonicalize(xml.decode(), rewrite_prefixes=True))


def run(runner: Runner, stylesheet: str, document: bytes = b"<a/>") -> Result:
    """Past the checker, straight to the worker."""
    results: list[Result] = []
    runner.submit(Job(stylesheet.encode(), document, Passes.ONE, 1), results.append)
    assert len(results) == 1
    return results[0]


def trouble(result: Result) -> Trouble:
    assert isinstance(result, Failure), result
    return result.trouble


def test_the_sum_of_demand_agrees_with_the_named_one(runner: BlockingRunner, demand: Make) -> None:
    inputs = [demand(900_000_000 + number, number, 0) for number in range(10)]
    named = value(combine(runner, Filter(name="sum"), DEMAND, *inputs[:-1]))
    partial = value(combine(runner, example("demand-sum"), DEMAND, *inputs[:-1], final=False))
    assert plain(partial) == plain(named)
    whole = value(combine(runner, example("demand-sum"), DEMAND, Input(partial, 9, False), inputs[-1]))
    assert [element.text for element in etree.fromstring(whole).iter(qname(METERING, "energyWh"))] == [
        "9000000045",
        "45",
        "0",
    ]


def test_the_category_of_a_sum_over_several_reads_mixed(runner: BlockingRunner, demand: Make) -> None:
    made = value(combine(runner, example("demand-sum"), DEMAND, demand(1, 2, 3, category="ev"), demand(1, 2, 3)))
    assert etree.fromstring(made).findtext(f".//{{{METERING}}}category") == "mixed"


def test_the_largest_voltage_brings_its_measurement(runner: BlockingRunner, measurement: Make) -> None:
    inputs = [measurement(229.5, 1), measurement(231.25, -2, 40), measurement(99.0, 3)]
    made = etree.fromstring(value(combine(runner, example("voltage-max"), MEASUREMENT, *inputs)))
    (row,) = made.iter(qname(METERING, "Measurement"))
    assert [child.text for child in row] == ["231.25", "-2", "40"]


def test_the_largest_phase_difference_over_a_tree(runner: BlockingRunner, measurement: Make) -> None:
    filter = example("phase-difference")
    one = value(combine(runner, filter, MEASUREMENT, measurement(0, -3.5), measurement(0, 1), final=False))
    two = value(combine(runner, filter, MEASUREMENT, measurement(0, 2.25), final=False))
    made = etree.fromstring(
        value(combine(runner, filter, MEASUREMENT, Input(one, 2, False), measurement(0, 0), Input(two, 1, False)))
    )
    assert made.tag == MEASUREMENT.response
    assert [element.text for element in made.iter(qname(METERING, "phaseAngle"))] == ["5.75"]


def test_the_final_phase_knows_how_many_contributed(runner: BlockingRunner, demand: Make) -> None:
    body = (
        "<xsl:if test=\"$phase = 'final'\"><n><xsl:value-of select='*/*/@contributors'/></n></xsl:if>"
        "<xsl:if test=\"$phase = 'partial'\"><p/></xsl:if>"
    )
    filter = Filter(stylesheet=sheet(body, "partial final", '<xsl:param name="phase"/>'))
    made = value(combine(runner, filter, None, demand(1, 2, 3), Input(b"<p/>", 41, False)))
    assert etree.fromstring(made).text == "42"


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"junk",
        b"<a",
        b"<a/>",
        b'<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>',
        b"<a>" + b"x" * 20_000 + b"</a>",
        b'</g:Reply><g:Reply contributors="1000000">',
    ],
)
def test_a_bad_partial_is_left_out(runner: BlockingRunner, demand: Make, bad: bytes) -> None:
    made = combine(runner, example("demand-sum"), DEMAND, demand(1, 2, 3), Input(bad, 2, False), demand(4, 5, 6))
    assert isinstance(made, Combination)
    assert made.refused == (1,)
    assert b">5<" in made.value


def test_what_is_not_the_response_is_a_fault(runner: BlockingRunner, demand: Make) -> None:
    fault = combine(runner, Filter(stylesheet=sheet("<other/>")), DEMAND, demand(1, 2, 3))
    assert isinstance(fault, Fault)
    assert (fault.code, fault.subcode) == (FaultCode.SENDER, "{urn:gossip-ws:2026}FilterFailed")


@pytest.mark.parametrize("body", ["", "text", "<a/><b/>"])
def test_one_element_is_what_a_filter_makes(runner: BlockingRunner, demand: Make, body: str) -> None:
    assert isinstance(combine(runner, Filter(stylesheet=sheet(body)), None, demand(1, 2, 3)), Fault)


def test_more_than_16_kib_are_no_answer(runner: BlockingRunner) -> None:
    body = '<a><xsl:for-each select="//b"><xsl:copy-of select="/"/></xsl:for-each></a>'
    result = run(runner, sheet(body), b"<a>" + b"<b/>" * 300 + b"</a>")
    assert trouble(result) is Trouble.WRONG


RECURSION = (
    '<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:template match="/" name="t">'
    '<xsl:call-template name="t"/>{}</xsl:template></xsl:stylesheet>'
)


def loops(select: str, inner: str) -> str:
    return f'<xsl:for-each select="{select}">{inner}</xsl:for-each>'


HANG = sheet("<a>" + '<xsl:for-each select="//*">' * 6 + "<b/>" + "</xsl:for-each>" * 6 + "</a>")
SILENT_HANG = sheet('<a><xsl:value-of select="count(//*[count(//*[count(//*[count(//*) = 1]) = 1]) = 1])"/></a>')
DOUBLING = sheet(
    '<xsl:variable name="v0" select="string(/)"/>'
    + "".join(f'<xsl:variable name="v{n + 1}" select="concat($v{n}, $v{n})"/>' for n in range(40))
    + '<a><xsl:value-of select="string-length($v40)"/></a>'
)
MANY = b"<a>" + b"<b>0123456789</b>" * 500 + b"</a>"
FILES = {
    "document()": sheet("<a><xsl:copy-of select=\"document('/etc/passwd')\"/></a>"),
    "document() of XML": sheet("<a><xsl:copy-of select=\"document('{}')\"/></a>"),
    "include": sheet("<a/>", top='<xsl:include href="{}"/>'),
    "import": sheet("<a/>", top='<xsl:import href="{}"/>'),
    "entity": '<!DOCTYPE x [<!ENTITY e SYSTEM "{}">]>' + sheet("<a>&e;</a>"),
}
BOMBS = {"recursion": RECURSION.format(""), "twofold recursion": RECURSION.format('<xsl:call-template name="t"/>')}
SLOW = {"nested loops": HANG, "nested predicates": SILENT_HANG, "doubling": DOUBLING}


@pytest.mark.parametrize("stylesheet", FILES.values(), ids=FILES)
def test_no_file_is_read_even_past_the_checker(runner: BlockingRunner, stylesheet: str, tmp_path: object) -> None:
    secret = f"{tmp_path}/secret.xml"
    with open(secret, "w", encoding="utf-8") as file:
        file.write(sheet("<secret/>").replace("<xsl:template", "<!--secret--><xsl:template"))
    result = run(runner, stylesheet.replace("{}", secret))
    assert isinstance(result, Failure) or b"secret" not in result
    assert run(runner, sheet("<fine/>")) == b"<fine></fine>"


@pytest.mark.parametrize("stylesheet", [*BOMBS.values(), *SLOW.values()], ids=[*BOMBS, *SLOW])
def test_a_bomb_past_the_checker_costs_one_worker(stylesheet: str) -> None:
    runner = BlockingRunner(timeout=0.25)
    try:
        assert trouble(run(runner, stylesheet, MANY)) in {Trouble.SLOW, Trouble.DIED, Trouble.WRONG}
        assert run(runner, sheet("<fine/>")) == b"<fine></fine>"
    finally:
        runner.close()


def limits(pid: int | None) -> dict[str, str]:
    with open(f"/proc/{pid}/limits", encoding="ascii") as file:
        return {line[:26].strip(): line[26:47].strip() for line in file}


def test_the_worker_is_small_bare_and_limited(runner: BlockingRunner) -> None:
    run(runner, sheet("<fine/>"))
    found = limits(runner.pid)
    assert {found[name] for name in ("Max open files", "Max processes", "Max file size", "Max core file size")} == {"0"}
    assert int(found["Max address space"]) < 128 * 2**20
    with open(f"/proc/{runner.pid}/environ", "rb") as file:
        assert file.read() == b""
    assert sorted(os.listdir(f"/proc/{runner.pid}/fd")) == ["0", "1", "2", "3"]
    assert os.readlink(f"/proc/{runner.pid}/fd/3").endswith("/statm")
    with open(f"/proc/{runner.pid}/status", encoding="ascii") as file:
        resident = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    assert resident < 24 * 1024


def test_a_worker_that_has_grown_is_replaced(runner: BlockingRunner) -> None:
    run(runner, sheet("<fine/>"))
    before = runner.pid
    text = sheet(
        '<xsl:variable name="v0" select="string(/)"/>'
        + "".join(f'<xsl:variable name="v{n + 1}" select="concat($v{n}, $v{n})"/>' for n in range(11))
        + '<a><xsl:value-of select="string-length($v11)"/></a>'
    )
    for _ in range(10):
        assert run(runner, text, MANY) == b"<a>10240000</a>"
        if runner.pid is None:
            break
    assert runner.pid is None
    run(runner, sheet("<fine/>"))
    assert runner.pid not in {None, before}


def test_no_stylesheet_no_worker(demand: Make) -> None:
    runner = BlockingRunner()
    assert isinstance(combine(runner, Filter(name="sum"), DEMAND, demand(1, 2, 3)), Combination)
    assert runner.pid is None


def test_a_stylesheet_that_cost_two_workers_is_not_run_again(demand: Make) -> None:
    # Allowed and slow: the worker's clock is what stops it.
    slow = loops("//*", loops("//*", '<xsl:value-of select="sum(//*//*//*)"/>'))
    body = f"<a>{slow}</a>"
    filter = Filter(stylesheet=sheet(body))
    runner = BlockingRunner(timeout=0.1)
    combiner = FilterCombiner(runner)
    wide = Input(b"<a>" + b"<b><c/></b>" * 1_000 + b"</a>", 1, True)
    answers: list[Answer] = []
    try:
        for _ in range(3):
            combiner.combine(filter, None, (wide,), True, answers.append)
    finally:
        runner.close()
    assert [answer.reason for answer in answers if isinstance(answer, Fault)] == [
        "the filter took more than 0.1 s",
        "the filter took more than 0.1 s",
        "this filter ended its worker before",
    ]


def test_check_tells_the_origin_before_anything_is_sent(runner: BlockingRunner) -> None:
    combiner = FilterCombiner(runner)
    combiner.check(Filter(name="sum", group_by="category"), DEMAND)
    for _ in range(2):
        combiner.check(example("demand-sum"), DEMAND)
        with pytest.raises(RemoteError, match="document"):
            combiner.check(Filter(stylesheet=sheet("<xsl:value-of select=\"document('x')\"/>")), DEMAND)
    for filter in (
        Filter(),
        Filter(name="sum", stylesheet=sheet("<a/>")),
        Filter(stylesheet=sheet("<a/>"), group_by="category"),
        Filter(name="sum", group_by="nothing"),
    ):
        with pytest.raises(RemoteError):
            combiner.check(filter, DEMAND)
    with pytest.raises(RemoteError, match="no stylesheets"):
        FilterCombiner().check(example("demand-sum"), DEMAND)


def test_combine_gives_what_check_refuses_as_a_fault(runner: BlockingRunner, demand: Make) -> None:
    assert isinstance(combine(runner, Filter(stylesheet="junk"), DEMAND, demand(1, 2, 3)), Fault)


async def later(runner: AsyncRunner, stylesheet: str, document: bytes = b"<a/>") -> Result:
    future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
    runner.submit(Job(stylesheet.encode(), document, Passes.ONE, 1), future.set_result)
    return await future


def test_many_jobs_under_a_loop_in_order() -> None:
    async def story() -> list[Result]:
        runner = AsyncRunner()
        try:
            return await asyncio.gather(*(later(runner, sheet(f"<a n='{number}'/>")) for number in range(50)))
        finally:
            runner.close()

    assert asyncio.run(story()) == [f'<a n="{number}"></a>'.encode() for number in range(50)]


def test_a_hanging_filter_leaves_the_loop_free_and_the_back_off_lets_nobody_in() -> None:
    async def story() -> None:
        runner = AsyncRunner(timeout=0.2, back_off=600.0)
        try:
            assert await later(runner, sheet("<fine/>")) == b"<fine></fine>"
            hanging = asyncio.create_task(later(runner, SILENT_HANG, MANY))
            turns = 0
            while not hanging.done():
                await asyncio.sleep(0)
                turns += 1
            assert trouble(hanging.result()) is Trouble.SLOW
            assert turns > 100
            assert trouble(await later(runner, sheet("<fine/>"))) is Trouble.BUSY
        finally:
            runner.close()

    asyncio.run(story())


def test_the_queue_is_bounded_in_jobs_and_in_octets() -> None:
    async def story() -> None:
        runner = AsyncRunner(queue=2, octets=100)
        try:
            jobs = [asyncio.create_task(later(runner, sheet("<fine/>"))) for _ in range(4)]
            results = await asyncio.gather(*jobs)
            assert [isinstance(result, Failure) for result in results] == [False, False, True, True]
            assert trouble(await later(runner, sheet("<fine/>"), b"<a>" + b" " * 100 + b"</a>")) is Trouble.BUSY
        finally:
            runner.close()
        assert trouble(await later(runner, sheet("<fine/>"))) is Trouble.BUSY

    asyncio.run(story())


def test_a_worker_killed_from_outside_is_replaced() -> None:
    async def story() -> None:
        runner = AsyncRunner()
        try:
            await later(runner, sheet("<fine/>"))
            assert runner.pid is not None
            os.kill(runner.pid, 9)
            assert trouble(await later(runner, sheet("<fine/>"))) is Trouble.DIED
            async with asyncio.timeout(10):
                while isinstance(await later(runner, sheet("<fine/>")), Failure):
                    pass
        finally:
            runner.close()

    asyncio.run(story())


def test_closing_answers_everyone_and_leaves_no_process() -> None:
    async def story() -> int | None:
        runner = AsyncRunner()
        await later(runner, sheet("<fine/>"))
        pid = runner.pid
        running = [asyncio.create_task(later(runner, SILENT_HANG, MANY)) for _ in range(3)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        runner.close()
        assert [trouble(await task) for task in running] == [Trouble.BUSY] * 3
        return pid

    pid = asyncio.run(story())
    assert not os.path.exists(f"/proc/{pid}")
