"""What an instance file may say, and that everything else is one LocalError."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gossip_ws.kernel.errors import LocalError
from gossip_ws.routing.instance import Commodity, Instance, Kind, parse, read

EXAMPLES = sorted((Path(__file__).parents[2] / "docs" / "examples").glob("*.json"))


def small(**changed: Any) -> dict[str, Any]:
    return {
        "name": "two",
        "kind": "mm1",
        "nodes": 3,
        "links": [[0, 1], [1, 0], [1, 2]],
        "capacity_kb": [10, 20.5, 30.0],
        "demands": [[0, 2, 5], [1, 0, 2.5]],
    } | changed


def test_an_instance_is_read() -> None:
    assert read(small(optimum=1.0)) == Instance(
        "two", Kind.MM1, 3, {(0, 1): 10.0, (1, 0): 20.5, (1, 2): 30.0}, (Commodity(0, 2, 5.0), Commodity(1, 0, 2.5))
    )


def test_demands_of_one_pair_are_one_commodity() -> None:
    assert read(small(demands=[[0, 2, 5], [0, 2, 1.5]])).commodities == (Commodity(0, 2, 6.5),)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_the_examples_are_instances(file: Path) -> None:
    assert parse(file.read_bytes()).commodities


@pytest.mark.parametrize(
    "changed",
    [
        {"kind": "qp"},
        {"kind": ["mm1"]},
        {"name": 3},
        {"nodes": 1},
        {"nodes": True},
        {"nodes": 3.0},
        {"nodes": 10**400},
        {"nodes": None},
        {"links": []},
        {"links": {}},
        {"links": [[0, 1], [0, 1], [1, 2]]},
        {"links": [[0, 0], [1, 0], [1, 2]]},
        {"links": [[0, 3], [1, 0], [1, 2]]},
        {"links": [[0, -1], [1, 0], [1, 2]]},
        {"links": [[0, 1, 2], [1, 0], [1, 2]]},
        {"links": [0, 1, 2]},
        {"capacity_kb": [10, 20]},
        {"capacity_kb": [10, 20, 0]},
        {"capacity_kb": [10, 20, -1]},
        {"capacity_kb": [10, 20, "30"]},
        {"capacity_kb": [10, 20, float("nan")]},
        {"capacity_kb": [10, 20, float("inf")]},
        {"capacity_kb": [10, 20, 10**400]},
        {"capacity_kb": [10, 20, True]},
        {"capacity_kb": None},
        {"demands": []},
        {"demands": [[0, 2]]},
        {"demands": [[0, 0, 5]]},
        {"demands": [[0, 2, -5]]},
        {"demands": [[0, 2, 0]]},
        {"demands": [[0, 2.0, 5]]},
        {"demands": [[0, 9, 5]]},
        {"demands": ["0,2,5"]},
        {"demands": [[2, 0, 5]]},
    ],
    ids=str,
)
def test_what_is_no_instance_is_refused_in_one_line(changed: dict[str, Any]) -> None:
    with pytest.raises(LocalError) as refused:
        read(small(**changed))
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("missing", ["nodes", "links", "capacity_kb", "demands"])
def test_nothing_is_missing(missing: str) -> None:
    with pytest.raises(LocalError, match=missing.split("_")[0]):
        read({name: value for name, value in small().items() if name != missing})


@pytest.mark.parametrize(
    "text", [b"", b"[", b"\xff\xfe", b"[1]", b"null", b"[" * 100_000, b'{"nodes": ' + b"9" * 5000 + b"}"]
)
def test_what_is_no_json_object_is_refused(text: bytes) -> None:
    with pytest.raises(LocalError):
        parse(text)


def test_a_file_is_bounded() -> None:
    with pytest.raises(LocalError, match="octets"):
        parse(json.dumps(small()) + " " * (8 * 1024 * 1024))
