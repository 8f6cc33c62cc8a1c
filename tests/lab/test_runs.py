"""Sweeps at work: on this machine's cores, on a Dask cluster of its own processes, stopped, resumed, and robbed of a
worker in the middle. Everything is compared with the same points run one after another in this process."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from gossip_ws.lab import engine, journal
from gossip_ws.lab.runs import measure
from gossip_ws.lab.sweep import Sweep, parse

DEADLINE = 60.0
AXES = ("fanout=2:9", "loss=0:0.4:0.1")
REPEAT = 12
ARGUMENTS = (
    "--nodes",
    20_000,
    "--rounds",
    14,
    "--repeat",
    REPEAT,
    *(part for axis in AXES for part in ("--sweep", axis)),
)


def simulate(*arguments):
    return [sys.executable, "-m", "gossip_ws.devices.cli", "simulate", *map(str, arguments)]


def done(*arguments):
    return subprocess.run(simulate(*arguments), capture_output=True, text=True, check=False, timeout=DEADLINE)


def eventually(holds, what):
    """What `holds` gives, once that is something. Asks again and again: it is another process that makes it so."""
    end = time.monotonic() + DEADLINE
    while not (found := holds()):
        assert time.monotonic() < end, what
        time.sleep(0.01)
    return found


def points_in(part: Path) -> int:
    return max(0, part.read_bytes().count(b"\n") - 1) if part.exists() else 0


def table(path: Path):
    """What has to be the same whenever and wherever it is run: all but the time it took."""
    with path.open() as stream:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(stream)]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    sweep = Sweep(tuple(map(parse, AXES)), {"nodes": 20_000, "rounds": 14}, "population", REPEAT, 1)
    path = tmp_path_factory.mktemp("expected") / "table.csv"
    rows = [journal.row(point, measure(engine.run, point.trial, REPEAT, point.seed)) for point in sweep.points]
    with path.open("w") as stream:
        journal.write(stream, rows)
    return table(path)


@contextmanager
def running(part, *arguments):
    """A sweep of which three points are through."""
    with subprocess.Popen(
        simulate(*ARGUMENTS, *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            eventually(lambda: points_in(part) >= 3, "three points are through")
            yield process
        finally:
            process.kill()


def test_a_sweep_that_was_killed_goes_on_to_the_same_table(expected, tmp_path):
    output, part = tmp_path / "sweep.csv", tmp_path / "sweep.csv.part"
    with running(part, "--output", output) as process:
        process.kill()
        assert process.communicate(timeout=DEADLINE)[0] == ""
    kept = points_in(part)
    assert 3 <= kept < len(expected)
    assert not output.exists()
    resumed = done(*ARGUMENTS, "--output", output, "--json")
    assert (resumed.returncode, resumed.stderr) == (0, "")
    told = json.loads(resumed.stdout)
    assert (told["points"], told["resumed"]) == (len(expected), kept)
    assert table(output) == expected
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.csv"]


def test_a_sweep_that_is_interrupted_says_what_is_kept(expected, tmp_path):
    output, part = tmp_path / "sweep.csv", tmp_path / "sweep.csv.part"
    with running(part, "--output", output) as process:
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to every process of it
        out, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out) == (130, "")
    assert 3 <= points_in(part) < len(expected)
    assert not output.exists()
    told = re.fullmatch(
        r"gossip-ws: (\d+) points are kept in (.*): the same command .*\n\ngossip-ws: interrupted\n", err
    )
    assert told, err
    # It may come between the line in the file and the count.
    assert points_in(part) - 1 <= int(told[1]) <= points_in(part)
    assert told[2] == str(part)


def test_with_other_parameters_it_does_not_go_on(tmp_path):
    part = tmp_path / "sweep.csv.part"
    sweep = Sweep((parse("fanout=2:9"),), {"nodes": 50}, "population", 3, 1)
    with journal.Journal(tmp_path / "sweep.csv", sweep) as book:
        book.put(sweep.points[0], measure(engine.run, sweep.points[0].trial, 3, sweep.points[0].seed))
    before = part.read_bytes()
    refused = done("--nodes", 51, "--repeat", 3, "--sweep", "fanout=2:9", "--output", tmp_path / "sweep.csv")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "other parameters" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert part.read_bytes() == before


# -- a cluster that is there already ---------------------------------------------------------------


class Cluster:
    """A scheduler and workers, processes of their own, on loopback and on ports that the system chooses."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start("scheduler", "--port", "0", "--scheduler-file", str(folder / "scheduler.json"))
        self.address = eventually(self._address, "the scheduler writes its address")

    def worker(self):
        """One more, at work. Nobody starts it again when it dies."""
        before = self._registered()
        started = self._start(
            "worker", self.address, "--nthreads", "1", "--no-nanny", "--local-directory", self._folder
        )
        eventually(lambda: self._registered() > before, "the worker is known")
        return started

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait(timeout=DEADLINE)

    def _start(self, what, *arguments):
        command = [sys.executable, "-m", "dask", what, "--host", "127.0.0.1", "--no-dashboard", *map(str, arguments)]
        with (self._folder / "log").open("ab") as log:
            self._processes.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder))
        return self._processes[-1]

    def _registered(self):
        return (self._folder / "log").read_text().count("Registered to")

    def _address(self):
        try:
            return json.loads((self._folder / "scheduler.json").read_text())["address"]
        except (OSError, ValueError):
            return ""


@contextmanager
def cluster(folder):
    made = Cluster(folder)
    try:
        yield made
    finally:
        made.close()


def refused(folder, address):
    """What is said when nobody can run anything there."""
    (folder / "out").mkdir()
    tried = done(*ARGUMENTS, "--output", folder / "out" / "sweep.csv", "--scheduler", address)
    assert (tried.returncode, tried.stdout) == (2, "")
    assert tried.stderr.count("\n") == 1
    assert list((folder / "out").iterdir()) == []
    return tried.stderr


def test_a_cluster_without_workers_is_told_and_when_one_dies_its_points_are_run_again(expected, tmp_path):
    (tmp_path / "dask").mkdir()
    output, part = tmp_path / "sweep.csv", tmp_path / "sweep.csv.part"
    with cluster(tmp_path / "dask") as there:
        assert f"the scheduler at {there.address} has no worker" in refused(tmp_path, there.address)
        victim = there.worker()
        with running(part, "--output", output, "--scheduler", there.address) as process:
            # It is the only one, so it is at work when it dies, and nothing more is through until another comes.
            victim.kill()
            victim.wait(timeout=DEADLINE)
            assert points_in(part) < len(expected)
            there.worker()
            out, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, err) == (0, "")
    assert out.startswith(f"{output}: {len(expected)} points; ")
    assert table(output) == expected


def test_a_scheduler_that_goes_away_is_told_and_what_is_done_is_kept(tmp_path):
    (tmp_path / "dask").mkdir()
    output, part = tmp_path / "sweep.csv", tmp_path / "sweep.csv.part"
    with cluster(tmp_path / "dask") as there:
        there.worker()
        with running(part, "--output", output, "--scheduler", there.address) as process:
            there.scheduler.kill()
            out, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out) == (2, ""), err
    assert "the scheduler has gone" in err
    assert "the same command goes on" in err
    assert err.count("\n") == 1
    assert points_in(part) >= 3


def test_a_scheduler_that_is_not_there_leaves_nothing(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        assert refused(tmp_path, nobody) == f"gossip-ws: --scheduler: no Dask scheduler answers at {nobody!r}\n"


def test_what_is_no_address_is_told_at_once(tmp_path):
    assert "no Dask scheduler answers at 'carrier://pigeon'" in refused(tmp_path, "carrier://pigeon")
