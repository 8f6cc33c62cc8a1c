"""Which addresses are this machine's."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gossip_ws.kernel.errors import LocalError
from gossip_ws.net.interfaces import by_interface, owns, packed, require


def test_loopback_is_listed_with_its_interface():
    assert "127.0.0.1" in by_interface()["lo"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.45.0.1", "127.255.255.254"])
def test_the_whole_loopback_net_is_this_machines(host):
    assert owns(host)
    require(host)


def test_every_listed_address_is_owned_however_it_is_written():
    for addresses in by_interface().values():
        for address in addresses:
            assert owns(address)
    if "::1" in by_interface()["lo"]:
        assert owns("0:0:0:0:0:0:0:1")


@pytest.mark.parametrize(
    "host", ["192.0.2.77", "2001:db8::77", "0.0.0.0", "::", "localhost", "", "127.0.0", "127.1.1.1.1", "\x00", "\udcff"]
)
def test_what_is_not_this_machines_is_refused_in_one_line(host):
    assert not owns(host)
    with pytest.raises(LocalError, match=r"^not an address of this machine: .*lo 127\.0\.0\.1[^\n]*$"):
        require(host)


def test_a_zone_is_no_part_of_an_address():
    assert packed("fe80::1%eth0") == packed("fe80::1")


def test_netifaces_is_imported_only_when_asked():
    code = (
        "import sys, gossip_ws.net.network, gossip_ws.net.interfaces\n"
        "assert 'netifaces' not in sys.modules and 'lxml' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
