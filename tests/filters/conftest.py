"""Real workers, and the responses of the Metering service."""

from collections.abc import Callable, Iterator

import pytest

from gossip_ws.filters.runner import BlockingRunner
from gossip_ws.ports import Input

METERING = "urn:gossip-ws:2026:metering"


@pytest.fixture(scope="module")
def runner() -> Iterator[BlockingRunner]:
    made = BlockingRunner()
    yield made
    made.close()


@pytest.fixture(scope="session")
def demand() -> Callable[..., Input]:
    def make(*energy: int, category: str = "household") -> Input:
        periods = "".join(f"<energyWh>{value}</energyWh>" for value in energy)
        row = f"<Demand><category>{category}</category>{periods}</Demand>"
        xml = f'<GetDemandResponse xmlns="{METERING}"><GetDemandResult>{row}</GetDemandResult></GetDemandResponse>'
        return Input(xml.encode(), 1, True)

    return make


@pytest.fixture(scope="session")
def measurement() -> Callable[..., Input]:
    def make(voltage: float, angle: float, power: float = 0.0) -> Input:
        numbers = f"<voltage>{voltage}</voltage><phaseAngle>{angle}</phaseAngle><power>{power}</power>"
        row = f"<Measurement>{numbers}</Measurement>"
        xml = (
            f'<GetMeasurementResponse xmlns="{METERING}"><GetMeasurementResult>{row}</GetMeasurementResult>'
            "</GetMeasurementResponse>"
        )
        return Input(xml.encode(), 1, True)

    return make
