"""Real keys for all devices of an instance."""

from functools import cache

from gossip_ws.consensus.door import Keyring
from gossip_ws.consensus.trust import Roll
from gossip_ws.security.keys import PrivateKey


@cache
def key(name):
    """The same for a name in all tests: to make one takes time."""
    return PrivateKey.generate()


def keyring(instance):
    names = [device.id for device in instance.devices]
    roll = Roll(
        {name: key(name).public.verifies for name in names}, {device.id: device.bus for device in instance.devices}
    )
    return Keyring({name: key(name).sign for name in names}, roll)
