"""The documents say what is so: every block of the README runs, its printed output is what is printed, links lead
somewhere, and the picture of the rooms has all of them.

Devices of the README get free ports instead of 8080, so that whatever uses that port is left alone.
"""

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DEADLINE = 30.0


@dataclass(frozen=True)
class Block:
    """One fenced block under the heading that begins with `heading`."""

    heading: str
    language: str
    code: str

    def __str__(self):
        return f"{self.heading}: {self.language} {self.code[:30]!r}"


def blocks(document):
    for section in re.split(r"^## ", document, flags=re.MULTILINE):
        heading = section.partition("\n")[0]
        for found in _BLOCK.finditer(section):
            yield Block(heading, found[1], found[2])


ALL = list(blocks(README))
PYTHON = [block for block in ALL if block.language == "python"]
SHELL = [block for block in ALL if block.language == "sh" and block.heading.startswith("For an operator")]


def outside(message):
    """What differs from run to run, made equal: days, seconds, ports, identities."""
    text = re.sub(r"\b\d{4}-\d\d-\d\d\b", "DAY", message)
    text = re.sub(r"\b\d+\.\d\d s\b", "SECONDS", text)
    return re.sub(r"(127\.\d+\.\d+\.\d+):\d+", r"\1:PORT", text)


class Town:
    """The operator's devices, as the README starts them, in a folder of their own."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        # The commands of this environment, whatever else the machine has.
        self.environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        self.devices = None

    def here(self, code):
        return re.sub(r"\b8080\b", str(self.port), code)

    def run(self, code):
        done = subprocess.run(
            ["bash", "-euc", self.here(code)],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{code}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self, code):
        """A block that leaves devices running, once each has said that it is ready: they end with its shell's process
        group."""
        assert code.count("&\n") == code.count("\n"), "only devices in the background"
        self.devices = subprocess.Popen(
            ["bash", "-euc", self.here(code) + "wait"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        until, said = time.monotonic() + DEADLINE, b""
        while len(re.findall(rb"^ready .*\n", said, re.MULTILINE)) < code.count("&\n"):
            more, _, _ = select.select([self.devices.stdout], [], [], until - time.monotonic())
            assert more, f"not in time: {said}"
            part = os.read(self.devices.stdout.fileno(), 65_536)
            assert part, f"gone: {said}"
            said += part

    def stop(self):
        if self.devices is not None:
            os.killpg(self.devices.pid, signal.SIGTERM)
            self.devices.communicate(timeout=DEADLINE)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """The operator's section up to the point where both devices are up and know one another."""
    town = Town(tmp_path_factory.mktemp("town"))
    files, devices, *_ = SHELL
    try:
        town.run(files.code)
        town.start(devices.code)
        ask = "gossip-ws pull-demand http://127.1.0.1:8080 --user dispatcher --password-file password.txt --json"
        until = time.monotonic() + DEADLINE
        while json.loads(town.run(ask))["expected"] != 2:
            assert time.monotonic() < until, "the meter has not registered in time"
        yield town
    finally:
        town.stop()


def test_the_operator_sees_what_the_readme_prints(town):
    _, _, push, more = SHELL
    promised = next(block for block in ALL if block.heading == push.heading and block.language == "text")
    assert outside(town.run(push.code)) == outside(promised.code)
    told = town.run(more.code)
    assert "household" in told
    assert "http://127.1.0.2" in told, "discovery found the meter"
    assert json.loads((town.folder / "display.json").read_text())["id"] == "night"
    assert (town.folder / "demand.csv").read_text().count("household") >= 1


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.heading.split(":")[0])
def test_each_python_block_runs_without_a_warning(block, town):
    script = town.folder / "block.py"
    script.write_text(town.here(block.code))
    done = subprocess.run(
        [sys.executable, "-W", "error", script],
        cwd=town.folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_no_block_of_the_readme_is_left_out():
    first = [block for block in ALL if block.language == "sh" and block not in SHELL]
    assert [line.split()[1] for line in first[0].code.splitlines()] == ["demo", "test"]
    assert len(first) == 1
    assert {block.language for block in ALL} == {"sh", "python", "text"}
    makefile = (ROOT / "Makefile").read_text()
    assert all(f"\n{target}: " in makefile for target in ("demo", "test", "bench", "check"))


def test_the_readme_shows_what_the_city_prints():
    shown = README.partition("<!-- demo output -->\n```text\n")[2].partition("```")[0]
    assert re.search(r"^devices +IS 1  SSC \d+  SM 540  IED \d+ ", shown)
    assert "verdict    everyone has the tariff, every sum is exact" in shown


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    for link in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        if "://" not in link:
            assert (document.parent / link).exists(), link


def test_the_picture_of_the_rooms_has_all_of_them():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contract = next(c for c in project["tool"]["importlinter"]["contracts"] if c["name"] == "rooms")
    layers = [set(re.findall(r"\w+", layer)) for layer in contract["layers"]]
    design = (ROOT / "docs" / "design.md").read_text()
    picture = design.partition("```text\n")[2].partition("```")[0]
    assert [set(re.findall(r"\w+", line.partition("#")[0])) for line in picture.splitlines() if line] == layers
