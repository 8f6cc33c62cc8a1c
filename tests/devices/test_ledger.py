"""The log of one device on disk: what was written is there again, whoever dies; what is none is refused."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gossip_ws.consensus.ability import Ability, Need, Storage
from gossip_ws.consensus.log import AgreementId, Cause, Kind, Record
from gossip_ws.consensus.messages import Served
from gossip_ws.consensus.past import Past
from gossip_ws.consensus.reliance import NEIGHBOURS, Score
from gossip_ws.devices.ledger import Ledger, read
from gossip_ws.kernel.errors import LocalError

ABILITY = Ability((Need(7, 4, 1, 3),), Storage(9, 3, 2, 1))
RECORDS = (
    Record("urn:d", 0, 1.5, Kind.STARTED, -1),
    Record("urn:d", 1, 1.5, Kind.OFFERED, 0, watts=(-3, 0, 5), ability=ABILITY),
    Record("urn:d", 2, 2.25, Kind.PREPARED, 0, AgreementId("urn:e/1.0"), "urn:e", 2, (3, 0, 0)),
    Record("urn:d", 3, 2.5, Kind.SETTLED, 0, AgreementId("urn:e/1.0"), "urn:e", 2, (3, 0, 0), Cause("urn:e", 7)),
)
WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from gossip_ws.consensus.log import Kind, Record
from gossip_ws.devices.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]), "urn:d")
for number in range(1_000_000):
    ledger.write(Record("urn:d", number, 0.0, Kind.STARTED, watts=(number,)))
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


def test_what_was_written_is_there_again(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "log", "urn:d")
    assert ledger.records() == ()
    for record in RECORDS:
        ledger.write(record)
    assert ledger.records() == RECORDS
    # While it is open too.
    assert read(tmp_path / "log") == ("urn:d", RECORDS)
    ledger.close()
    again = Ledger(tmp_path / "log", "urn:d")
    assert again.records() == RECORDS
    again.close()


def test_how_far_neighbours_are_believed_is_there_again_and_bounded(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "log", "urn:d")
    assert ledger.scores() == ()
    ledger.believe(Score("urn:e", 900, 1000, 3), Score("urn:f", 800, 700, 3))
    ledger.believe(Score("urn:e", 850, 1000, 4))
    assert ledger.scores() == (Score("urn:f", 800, 700, 3), Score("urn:e", 850, 1000, 4))
    ledger.believe(*(Score(f"urn:{number}", 500, 1000, 5) for number in range(NEIGHBOURS - 1)))
    ledger.close()
    again = Ledger(tmp_path / "log", "urn:d")
    assert len(again.scores()) == NEIGHBOURS
    assert again.scores()[0] == Score("urn:e", 850, 1000, 4)
    assert again.records() == ()
    again.close()


@pytest.mark.parametrize("row", ["'urn:e', 5000, 1000, 1", "'urn:e', 'much', 1000, 1", "'urn:e', 900, 0, 1"])
def test_a_score_that_nobody_has_written_is_refused(tmp_path: Path, row: str) -> None:
    ledger = Ledger(tmp_path / "log", "urn:d")
    with sqlite3.connect(tmp_path / "log") as database:
        database.execute(f"INSERT INTO score (device, gives, needs, day) VALUES ({row})")
    with pytest.raises(LocalError, match="not what a device writes"):
        ledger.scores()
    ledger.close()


def test_all_that_was_said_to_be_written_outlives_a_kill(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        while int(last := writer.stdout.readline()) < 50:
            pass
        os.kill(writer.pid, signal.SIGKILL)
        last = [last, *writer.stdout][-1]
    _, records = read(tmp_path / "log")
    assert len(records) > int(last)
    assert [record.watts for record in records] == [(number,) for number in range(len(records))]


def test_a_ledger_is_of_one_device(tmp_path: Path) -> None:
    Ledger(tmp_path / "log", "urn:d").close()
    with pytest.raises(LocalError, match="not of urn:e"):
        Ledger(tmp_path / "log", "urn:e")
    ledger = Ledger(tmp_path / "log", "urn:d")
    with pytest.raises(LocalError, match="of another"):
        ledger.write(Record("urn:e", 0, 0.0, Kind.STARTED))
    ledger.close()


def test_two_writers_do_not_write_one_number(tmp_path: Path) -> None:
    one, other = Ledger(tmp_path / "log", "urn:d"), Ledger(tmp_path / "log", "urn:d")
    one.write(RECORDS[0])
    with pytest.raises(LocalError, match="not written"):
        other.write(RECORDS[0])
    # Of several that are written together, all or none.
    with pytest.raises(LocalError, match="not written"):
        other.write(RECORDS[1], RECORDS[0])
    assert one.records() == RECORDS[:1]
    other.write(*RECORDS[1:3])
    assert one.records() == RECORDS[:3]
    one.close()
    other.close()


@pytest.mark.parametrize("content", [b"junk" * 300, b"SQLite format 3\0" + b"\0" * 500])
def test_what_is_no_ledger_is_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(content)
    for opened in (lambda path: Ledger(path, "urn:d"), read):
        with pytest.raises(LocalError, match="no ledger") as caught:
            opened(tmp_path / "log")
        assert "\n" not in str(caught.value)
    with pytest.raises(LocalError, match="no ledger"):
        read(tmp_path / "nowhere")
    with pytest.raises(LocalError):
        Ledger(tmp_path / "no" / "folder", "urn:d")


@pytest.mark.parametrize("told", ["{", "[]", "7", '{"flexible": [{"energy": 1}]}', '{"storage": 3}'])
def test_what_no_device_writes_is_refused_when_it_is_read(told: str, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "log", "urn:d")
    ledger.write(RECORDS[0])
    database = sqlite3.connect(tmp_path / "log")
    database.execute("UPDATE record SET ability = ?", (told,))
    database.commit()
    database.close()
    with pytest.raises(LocalError, match="not what a device writes"):
        ledger.records()
    ledger.close()


def test_another_database_is_no_ledger(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "log")
    database.execute("CREATE TABLE record (number TEXT)")
    database.execute("INSERT INTO record VALUES ('x')")
    database.commit()
    database.close()
    with pytest.raises(LocalError, match="no ledger"):
        Ledger(tmp_path / "log", "urn:d")


def test_what_is_past_is_gone_and_what_stands_for_it_is_there_again(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "log", "urn:d")
    assert ledger.past() == Past()
    ledger.write(*RECORDS)
    past = Past(3, 7, 2, Served(5, 1), (1, 8))
    ledger.forget(past)
    ledger.close()
    again = Ledger(tmp_path / "log", "urn:d")
    assert (again.past(), again.records()) == (past, RECORDS[3:])
    again.forget(replace(past, number=4))
    assert (again.past().number, again.records()) == (4, ())
    again.close()
