"""`soap`, for node: the program of docs/legacy.md, every WSDL, headers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from calls import Program, calls_the_original, calls_the_shadow, reads_faults
from lxml import etree
from peers import npm_package, program, run, works
from test_zeep import PATHS, SHADOWS
from town import PASSWORD, USER, Grid

from gossip_ws.wire.wsdl import WSDL11

OPTIONS = "{ forceSoap12Headers: true }"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("node")
    # An ES module looks for packages above itself and nowhere else.
    (made / "node_modules").symlink_to(npm_package("soap").parent)
    return made


@pytest.fixture(scope="module")
def meter(folder: Path) -> Program:
    (folder / "meter.mjs").write_text(program("JavaScript: node soap", "js"))

    def call(*arguments: str, code: int = 0) -> str:
        return run("node", "--throw-deprecation", "meter.mjs", *arguments, cwd=folder, code=code)

    return call


@works("node soap", "original")
def test_the_program_calls_the_original(meter: Program, town: Grid) -> None:
    calls_the_original(meter, town)


@works("node soap", "shadow")
def test_the_program_calls_the_shadow(meter: Program, town: Grid) -> None:
    calls_the_shadow(meter, town)


@works("node soap", "faults")
def test_the_program_reads_faults(meter: Program, town: Grid) -> None:
    reads_faults(meter, town)


@works("node soap", "wsdl")
def test_every_wsdl_loads_without_a_word(folder: Path, town: Grid) -> None:
    """The operations that it finds are those of the contract; it writes nothing on standard error."""
    (folder / "describe.mjs").write_text(
        f"""import soap from "soap";
const told = {{}};
for (const url of process.argv.slice(2)) {{
  const services = (await soap.createClientAsync(url, {OPTIONS})).describe();
  for (const service of Object.values(services))
    told[url] = Object.keys(Object.values(service)[0]);
}}
console.log(JSON.stringify(told));
"""
    )
    urls = [town.meter.url(path) + "?wsdl" for path in PATHS + SHADOWS]
    told = json.loads(run("node", "--throw-deprecation", "describe.mjs", *urls, cwd=folder))
    assert list(told) == urls
    for path, operations in zip(PATHS + SHADOWS, told.values(), strict=True):
        wsdl = etree.fromstring(town.meter.get(path + "?wsdl").body)
        assert operations == wsdl.xpath("//w:portType/w:operation/@name", namespaces={"w": WSDL11})


@works("node soap", "headers")
def test_headers_go_out_and_come_back(folder: Path, town: Grid) -> None:
    town.push()
    (folder / "headers.mjs").write_text(
        f"""import soap from "soap";
const [url, user, password] = process.argv.slice(2);
const client = await soap.createClientAsync(url + "?wsdl", {OPTIONS});
client.setSecurity(new soap.BasicAuthSecurity(user, password));
const wsa = "http://www.w3.org/2005/08/addressing";
client.addSoapHeader({{ Action: "urn:gossip-ws:2026:metering:GetDemand" }}, "", "a", wsa);
client.addSoapHeader({{ MessageID: "urn:uuid:7" }}, "", "a", wsa);
client.addSoapHeader(`<g:Wanted xmlns:g="urn:gossip-ws:2026"><g:Scope>grid://town/1</g:Scope></g:Wanted>`);
const [answer, , header] = await client.GetDemandAsync({{}});
console.log(JSON.stringify({{ answer, header }}));
"""
    )
    url = town.top.url("/Metering/gossip")
    told = json.loads(run("node", "headers.mjs", url, USER, PASSWORD, cwd=folder))
    (row,) = told["answer"]["GetDemandResult"]["Demand"]
    assert sum(row["energyWh"]) == 900
    assert told["header"]["Report"]["attributes"]["Contributors"] == "4"
    assert "urn:uuid:7" in json.dumps(told["header"]["RelatesTo"])
