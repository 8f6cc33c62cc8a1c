"""Keys for the devices of a simulated grid: made, enrolled by an operator, read again, and timed when they are used.

What is simulated is the network; the enrolments, the signatures and what they cost are real.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import process_time
from typing import Final
from urllib.parse import quote
from uuid import UUID, uuid5

from gossip_ws.consensus.door import Keyring
from gossip_ws.consensus.instance import Instance
from gossip_ws.consensus.trust import Roll, Sign, Verify
from gossip_ws.security.enrolment import Enrolments, enrol, parse
from gossip_ws.security.keys import PrivateKey

_NAMES: Final = UUID("6e0b9a5c-8d8e-4c59-9a4e-2f1f6d5b7c11")
_YEAR: Final = 365 * 86_400


@dataclass(slots=True)
class Cost:
    """How often something was done, and the seconds that all of it took."""

    times: int = 0
    seconds: float = 0.0

    @property
    def micro(self) -> float:
        """Microseconds each; 0 where it was never done."""
        return 1e6 * self.seconds / self.times if self.times else 0.0


class Issued:
    """A key for each device of an instance, enrolled with its place and its bus."""

    def __init__(self, instance: Instance) -> None:
        self.signing, self.verifying = Cost(), Cost()
        operator = PrivateKey.generate()
        keys = {device.id: PrivateKey.generate() for device in instance.devices}
        names = {device.id: f"urn:uuid:{uuid5(_NAMES, device.id)}" for device in instance.devices}
        enrolments = Enrolments(
            parse(
                enrol(
                    operator,
                    names[device.id],
                    keys[device.id].public,
                    f"grid://balance/{quote(device.area, '')}/{quote(device.id, '')}"[:256],
                    0,
                    _YEAR,
                    bus=device.bus,
                ).line(),
                [operator.public],
            )
            for device in instance.devices
        ).at(0.0)
        known = {device: enrolments[name] for device, name in names.items()}
        roll = Roll(
            {device: self._verify(one.key.verifies) for device, one in known.items()},
            {device: one.bus for device, one in known.items() if one.bus is not None},
        )
        self.keyring = Keyring({device: self._sign(key.sign) for device, key in keys.items()}, roll)
        self.stranger: Sign = PrivateKey.generate().sign
        """With a key that is not enrolled."""

    def _sign(self, sign: Sign) -> Sign:
        def timed(statement: bytes) -> bytes:
            began = process_time()
            signature = sign(statement)
            _add(self.signing, began)
            return signature

        return timed

    def _verify(self, verify: Verify) -> Verify:
        def timed(signature: bytes, statement: bytes) -> bool:
            began = process_time()
            is_so = verify(signature, statement)
            _add(self.verifying, began)
            return is_so

        return timed


def _add(cost: Cost, began: float) -> None:
    cost.times += 1
    cost.seconds += process_time() - began
