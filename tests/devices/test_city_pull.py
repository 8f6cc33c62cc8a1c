"""What is made of the answers to a city's pulls: by an information system of which the test says what it answers."""

from types import SimpleNamespace

import pytest

from gossip_ws.client import Answer
from gossip_ws.core.peers import Role
from gossip_ws.devices.city_balance import Pulled
from gossip_ws.devices.city_balance_trial import PULLS, pull
from gossip_ws.kernel.errors import RemoteError, receiver_fault
from gossip_ws.services.balancing import Residual

NAMES = ("could", "wanted", "sold", "bought", "soldBeyond", "boughtBeyond", "gives", "needs")
NOBODY = receiver_fault("NoContributors", "no device contributed a value")


class Told:
    """Answers in turn; the last one again and again."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.calls = []

    def call(self, operation, **arguments):
        self.calls.append((operation, arguments["day"], arguments["wanted"].scopes))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, RemoteError):
            raise answer
        return answer


def by(contributors, *rows):
    return Answer(
        [SimpleNamespace(**dict.fromkeys(NAMES, row)) for row in rows], SimpleNamespace(contributors=contributors)
    )


def pulled(client):
    return pull(client, "grid://t/1", Role.APPLIANCE, 2, 3, 2)


def test_it_is_asked_again_until_everybody_is_in_the_sum():
    client = Told(by(1, [4, 5]), NOBODY, by(2, [6, 7]))
    assert pulled(client) == Pulled(2, Residual(*[(6, 7)] * 8))
    assert client.calls == [("GetResidual", 3, ("grid://t/1",))] * 3


def test_where_none_was_in_time_it_is_of_nobody_and_not_the_end_of_the_city():
    client = Told(NOBODY)
    assert pulled(client) == Pulled(0, Residual(*[(0, 0)] * 8))
    assert len(client.calls) == PULLS


def test_any_other_fault_is_told():
    with pytest.raises(RemoteError, match="busy"):
        pulled(Told(receiver_fault("Busy", "busy")))
