"""What a device that balances takes of what is posted to it, where messages are signed."""

import asyncio
from dataclasses import replace

import pytest

from gossip_ws.consensus.clusters import build
from gossip_ws.consensus.config import Pace
from gossip_ws.consensus.door import Stamps
from gossip_ws.consensus.instance import Device, Feeder, Instance
from gossip_ws.consensus.messages import NEVER, Announce
from gossip_ws.consensus.trust import Roll, seal
from gossip_ws.devices.balancer import Balancer
from gossip_ws.devices.ledger import Ledger
from gossip_ws.kernel.errors import RemoteError
from gossip_ws.net.clock import LoopClock
from gossip_ws.security.keys import PrivateKey

KEYS = {name: PrivateKey.generate() for name in ("one", "other")}
STREET = Instance(Feeder((0, 0), (0, 10)), (Device("one", 1, (5,)), Device("other", 1, (-5,))), 1)
ANNOUNCE = Announce(0, 2, (-5,), NEVER)


def test_what_is_signed_counts_once_and_what_is_not_is_a_fault(tmp_path):
    async def posted():
        clock = LoopClock()
        roll = Roll({name: key.public.verifies for name, key in KEYS.items()})
        ledger = Ledger(tmp_path / "one.ledger", "one")
        balancer = Balancer("one", build(STREET), Pace(), ledger, clock=clock, roll=roll)
        sealed = seal("other", "one", ANNOUNCE, KEYS["other"].sign, Stamps().next(clock.now().wall))
        with pytest.raises(RemoteError, match="not signed by"):
            balancer.told(replace(sealed, stamp=sealed.stamp + 1), ())
        balancer.told(sealed, ())
        balancer.told(sealed, ())
        ledger.close()
        return balancer.counters

    # It has not been started, so what it takes it does nothing with.
    assert asyncio.run(posted()) == {"not balancing": 1, "said before": 1}
