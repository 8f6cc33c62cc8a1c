"""The stories that the transcripts of this folder tell: each variant, each fault."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import wrap

from gossip_ws.core.messages import Fetch, Gossip, Partial, Receipt
from gossip_ws.kernel.terms import Variant
from tests.core.builders import address
from tests.scenarios.stage import Stage, with_subtree

Story = Callable[[], Stage]
STORIES: dict[str, Story] = {}


def story(tell: Story) -> Story:
    """Its transcript has the function's name, and begins with what the function says of itself."""
    STORIES[tell.__name__.replace("_", "-")] = tell
    return tell


def transcript(name: str) -> list[str]:
    """The lines of one story."""
    tell = STORIES[name]
    return [f"# {line}" for line in wrap(" ".join((tell.__doc__ or "").split()), 110)] + tell().told


def substations(count: int, **settings: object) -> Stage:
    """ssc1, ssc2, ... that all know one another."""
    stage, names = Stage(**settings), [f"ssc{number}" for number in range(1, count + 1)]
    for name in names:
        stage.add(name, *(other for other in names if other != name))
    return stage


def all_up(stage: Stage) -> None:
    """They begin to ask for news, one a tenth of a second after the other."""
    for number, name in enumerate(stage.nodes):
        stage.at(stage.time + number * 0.1, lambda name=name: stage.up(name))


def tree(**settings: object) -> Stage:
    """is0 above ssc1 above sm1 and sm2; the meters know who is above their parent."""
    stage = Stage(**settings)
    stage.add("is0", with_subtree("ssc1", 3), value=1000)
    stage.add("ssc1", "is0", "sm1", "sm2", value=100)
    stage.add("sm1", "ssc1", value=1, elders=("is0",))
    stage.add("sm2", "ssc1", value=2, elders=("is0",))
    return stage


# -- variants


@story
def eager_push() -> Stage:
    """Eager push: whoever gets the payload sends it to two equals at random, for as many rounds as there are. A second
    copy is dropped by its id."""
    stage = substations(4)
    stage.start("ssc1", "alarm")
    stage.run(1)
    return stage


@story
def lazy_push() -> Stage:
    """Lazy push: only the id goes to two equals; who lacks the payload fetches it, from one of them. The first fetch
    of ssc2 is lost: it asks the next one that has it."""
    stage = substations(3)
    stage.lose("ssc2", "ssc1", Fetch)
    stage.start("ssc1", "alarm", variant=Variant.LAZY_PUSH)
    stage.run(1)
    return stage


@story
def eager_pull() -> Stage:
    """Eager pull: nobody is sent anything. Every two seconds or so each asks one equal for news, and gets payloads.
    The asked side fetches what it lacks too."""
    stage = substations(3, pull_period=2.0)
    all_up(stage)
    stage.at(0.5, lambda: stage.start("ssc1", "alarm", variant=Variant.EAGER_PULL))
    stage.run(3)
    return stage


@story
def lazy_pull() -> Stage:
    """Lazy pull: who asks for news gets ids, and fetches what it lacks."""
    stage = substations(3, pull_period=2.0)
    all_up(stage)
    stage.at(0.5, lambda: stage.start("ssc1", "alarm", variant=Variant.LAZY_PULL))
    stage.run(3)
    return stage


@story
def push_pull() -> Stage:
    """Push-pull: as eager push, and each that gets the payload asks one equal for news at once. The asked one sends
    nothing: what is still spreading is no news to who holds something."""
    stage = substations(3)
    stage.start("ssc1", "alarm", variant=Variant.PUSH_PULL)
    stage.run(1)
    return stage


@story
def adaptive() -> Stage:
    """Adaptive: all links are eager at first. One that brings a duplicate is pruned, on both sides, and carries ids
    only from then on: the second message costs one payload a device. When a payload is lost, the id that came over
    a lazy link has it fetched, and that link is eager again."""
    stage = substations(3)
    all_up(stage)
    stage.run(5)
    stage.start("ssc1", "first", variant=Variant.ADAPTIVE)
    stage.run(7)
    stage.start("ssc1", "second", variant=Variant.ADAPTIVE)
    stage.run(9)
    stage.lose("ssc1", "ssc2", Gossip)
    stage.start("ssc1", "third", variant=Variant.ADAPTIVE)
    stage.run(12)
    return stage


@story
def pull() -> Stage:
    """A pull of a sum. Each node says at once that it takes part, waits for those that it asked, and sends one partial
    up, again until there is a receipt. Each waits a little less than its asker does."""
    stage = tree()
    stage.ask("is0", "demand")
    stage.run(12)
    return stage


# -- faults


@story
def payload_lost() -> Stage:
    """The payload is lost on its way to a child. Its parent has no receipt, and sends it again."""
    stage = tree()
    stage.lose("ssc1", "sm2", Gossip)
    stage.start("ssc1", "tariff", scopes=("grid://t",))
    stage.run(3)
    return stage


@story
def receipt_lost() -> Stage:
    """A receipt is lost. The child gets the payload again, and gives its receipt again; it delivers once."""
    stage = tree()
    stage.lose("sm2", "ssc1", Receipt)
    stage.start("ssc1", "tariff", scopes=("grid://t",))
    stage.run(3)
    return stage


@story
def duplicated() -> Stage:
    """The network doubles a request and a partial. A request is joined once, a partial is taken once; both are
    receipted as often as they come."""
    stage = tree()
    stage.double("ssc1", "sm1", Gossip)
    stage.double("sm2", "ssc1", Partial)
    stage.ask("ssc1", "demand", scopes=("grid://t/none", "grid://t"))
    stage.run(12)
    return stage


@story
def reordered() -> Stage:
    """A partial overtakes the receipt that announces it. It counts; what is left of the receipt is nothing."""
    stage = tree()
    stage.delay("sm1", "ssc1", Receipt, 0.05)
    stage.ask("ssc1", "demand")
    stage.run(12)
    return stage


@story
def child_crashes() -> Stage:
    """A child crashes before it is asked. It is asked again until its parent's time is up, and reported as missing;
    the sum is that of all others."""
    stage = tree()
    stage.crash("sm2")
    stage.ask("is0", "demand", timeout=4.0)
    stage.run(6)
    return stage


@story
def parent_crashes() -> Stage:
    """A parent crashes in the middle of a pull, after it has asked its meters. They get no receipt for their partials,
    turn to the asker before it, and are adopted there: the sum lacks the value of the dead, nothing else."""
    stage = tree()
    stage.ask("is0", "demand")
    stage.at(0.015, lambda: stage.crash("ssc1"))
    stage.run(12)
    return stage


@story
def restarted() -> Stage:
    """A meter restarts in the middle of a pull. It may have answered before it went down, so it declines what was
    issued before it started: one value too few is reported, one counted twice could not be seen."""
    stage = tree()
    stage.lose("sm2", "ssc1", Receipt)
    stage.lose("sm2", "ssc1", Partial)
    stage.ask("is0", "demand")

    def again() -> None:
        stage.add("sm2", "ssc1", value=2)
        stage.say("sm2", "starts again")

    stage.at(0.1, lambda: stage.crash("sm2"))
    stage.at(0.2, again)
    stage.run(12)
    return stage


@story
def partitioned() -> Stage:
    """A partition while a message spreads. When it heals, digests bring the message to the other side: who asks
    fetches, and who is asked gives."""
    stage = substations(3, pull_period=2.0)
    stage.start("ssc2", "before")
    stage.run(1)
    stage.cut("ssc1")
    stage.start("ssc1", "alarm")
    all_up(stage)
    stage.at(3.5, stage.heal)
    stage.run(4.3)
    return stage


@story
def late_joiner() -> Stage:
    """A new meter enrols after a tariff was pushed. Its parent challenges it, and it has the tariff in force as soon
    as its address has answered; the one before it, nobody gives it any more. It asks for news as soon as it is
    taken in, and whoever took it in offers what it holds: one of both finds the other ready."""
    stage = Stage()
    stage.add("ssc1")
    stage.start("ssc1", "tariff 1", latest=True)
    stage.run(10)
    stage.start("ssc1", "tariff 2", latest=True)
    stage.run(60)
    stage.add("sm1", seeds=(address("ssc1"),))
    stage.up("sm1")
    stage.run(62)
    return stage


@story
def superseded() -> Stage:
    """Two tariffs of one originator overtake each other. Only the one issued last is in force: sm1 has it first and
    does not take the older any more; sm2 takes both, in order. Nobody resends the older."""
    stage = tree()
    stage.delay("ssc1", "sm1", Gossip, 0.2)
    stage.start("ssc1", "tariff 1", latest=True, scopes=("grid://t",))
    stage.run(0.1)
    stage.start("ssc1", "tariff 2", latest=True, scopes=("grid://t",))
    stage.run(5)
    return stage
