"""What the laboratory leaves behind: nothing, however the process that built it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from laboratory import Laboratory, Subnet
from single_devices import eventually

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("permitted")]

_BUILDER = """
import signal
import subprocess
from laboratory import Laboratory, Subnet
# Ignored where the tests themselves run in the background of a shell.
signal.signal(signal.SIGINT, signal.default_int_handler)
host = Laboratory().host("one", Subnet.FAN, 1)
with host.inside():
    # It speaks once the signal is set: killed before that, the builder would leave it behind.
    sleeping = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "sh", "-c", "echo $$; exec sleep 600"])
sleeping.wait()
"""


def interfaces() -> set[str]:
    return set(os.listdir("/sys/class/net"))


def test_a_thread_comes_back_and_nothing_is_left() -> None:
    before, home = interfaces(), os.readlink("/proc/thread-self/ns/net")
    laboratory = Laboratory()
    host = laboratory.host("one", Subnet.WAN, 1)
    with host.inside():
        assert os.readlink("/proc/thread-self/ns/net") != home
    assert os.readlink("/proc/thread-self/ns/net") == home
    assert interfaces() == before
    laboratory.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_process_in_it_ends_with_whoever_built_it(number: signal.Signals) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    builder = subprocess.Popen(
        [sys.executable, "-c", _BUILDER],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    assert builder.stdout is not None
    sleeping = Path("/proc") / builder.stdout.readline().strip() / "ns" / "net"
    space = os.readlink(sleeping)
    builder.send_signal(number)
    builder.communicate(timeout=60)

    def ended() -> bool:
        try:
            return os.readlink(sleeping) != space
        except OSError:
            # Gone, or a zombie that nobody has reaped yet.
            return True

    eventually(ended)
