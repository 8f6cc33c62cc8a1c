"""The client's side of WS-Eventing, and `gossip-ws subscribe`, against real devices."""

from __future__ import annotations

import asyncio
import http.client
import itertools
import json
import signal
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from single_devices import CLI, eventually
from town import ACTIONS, DEADLINE, SET_TARIFF, Device, Town, operator, plain, tariff, wait_for

from gossip_ws.client import Unanswered
from gossip_ws.core.peers import Role
from gossip_ws.devices.events import DEMAND_ALARM, TARIFF_CHANGED
from gossip_ws.devices.finding import EventSource, find_events
from gossip_ws.devices.subscriber import Event, Subscriber, own_address
from gossip_ws.dpws.eventing import BY_GOSSIP, Ending
from gossip_ws.dpws.subscriptions import SubscriptionManager
from gossip_ws.kernel.address import Address
from gossip_ws.kernel.errors import LocalError, RemoteError
from gossip_ws.kernel.names import TARIFF, WSA, WSE, qname
from gossip_ws.wire.envelope import parse
from gossip_ws.wire.eventing import RENEW, SUBSCRIBE, UNSUBSCRIBE
from gossip_ws.wire.soap import reply_envelope


class House(Town):
    """An information system, a substation, a meter: all may speak of events."""

    def __init__(self) -> None:
        super().__init__(ACTIONS | {TARIFF_CHANGED, DEMAND_ALARM})
        self.top = self.open(Role.INFORMATION_SYSTEM, "grid://h", key=self.operator)
        self.substation = self.open(Role.SUBSTATION, "grid://h/1", self.top, key=self.operator)
        self.meter = self.open(Role.METER, "grid://h/1/1", self.substation, key=self.operator)
        self.next = 1

    def fire(self, at: Device) -> str:
        version, self.next = self.next, self.next + 1
        assert at.post("/Tariff", plain(SET_TARIFF, tariff(version)), **operator()).status == 202
        return str(version)


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    made = House()
    yield made
    made.close()


def subscriptions(device: Device) -> SubscriptionManager:
    return device.host.endpoint.events.manager


class Listening:
    """A subscriber in a loop of its own, and what it heard."""

    def __init__(self, **settings: float) -> None:
        self.events: list[Event] = []
        self.lines: list[str] = []
        self.settings = settings

    @property
    def versions(self) -> list[str | None]:
        return [
            one.payload.findtext(f".//{qname(TARIFF, 'version')}") for one in self.events if one.payload is not None
        ]

    def run(self, story: Callable[[Subscriber], Awaitable[object]]) -> None:
        async def main() -> None:
            subscriber = Subscriber("127.0.0.1", self.events.append, self.lines.append, **self.settings)
            await subscriber.open()
            try:
                await story(subscriber)
            finally:
                await subscriber.close()

        asyncio.run(main())


async def until(condition: Callable[[], object], what: str) -> None:
    """In the subscriber's loop, which has to go on meanwhile."""
    await asyncio.to_thread(wait_for, condition, what)


async def fired(house: House, at: Device) -> str:
    return await asyncio.to_thread(house.fire, at)


def test_it_renews_at_half_life_for_as_long_as_it_listens(house: House) -> None:
    """Three renewals are more than the first subscription would have lasted."""
    told = Listening(expires=2.0)

    async def story(subscriber: Subscriber) -> None:
        held = await subscriber.subscribe(house.meter.url("/Tariff"), (TARIFF_CHANGED,))
        await until(lambda: held.renewals >= 3, "three renewals")
        version = await fired(house, house.meter)
        await until(lambda: told.versions == [version], "an event")

    told.run(story)
    assert told.lines == []
    assert len(subscriptions(house.meter)) == 0, "and it unsubscribes in the end"


class Source:
    """Speaks WS-Eventing at `host` as it is told to: grants `expires` and names `manager`, or drips its answer."""

    def __init__(self, host: str = "127.0.0.1", expires: str = "PT60S", manager: str = "") -> None:
        self.asked: list[tuple[str, str | None, float]] = []
        self.drips = False
        self.hung_up = threading.Event()
        source = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = parse(self.rfile.read(int(self.headers["Content-Length"])))
                action = asked.addressing.action
                source.asked.append((action, self.headers["Authorization"], time.monotonic()))
                if source.drips:
                    self.drip()
                    return
                kind = "SubscribeResponse" if action == SUBSCRIBE else "RenewResponse"
                to = manager or source.url
                reply = reply_envelope(
                    action + "Response",
                    asked.addressing.message_id,
                    f'<e:{kind} xmlns:e="{WSE}" xmlns:a="{WSA}"><e:SubscriptionManager><a:Address>{to}</a:Address>'
                    f"</e:SubscriptionManager><e:Expires>{expires}</e:Expires></e:{kind}>".encode(),
                )
                self.send_response(200)
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def drip(self) -> None:
                """An octet each 20 ms, 400 of them, unless the client has enough."""
                self.send_response(200)
                self.send_header("Content-Length", "400")
                self.end_headers()
                try:
                    for _ in range(400):
                        self.wfile.write(b" ")
                        self.wfile.flush()
                        time.sleep(0.02)
                except OSError:
                    source.hung_up.set()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing on standard error."""

        self.server = ThreadingHTTPServer((host, 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://{host}:{self.server.server_port}/source"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def test_a_source_that_drips_its_answer_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossip_ws.devices.subscriber.TIMEOUT", 0.3)
    told = Listening()

    async def story(subscriber: Subscriber) -> None:
        for _ in range(3):
            await subscriber.subscribe(source.url, ())
        source.drips = True
        with pytest.raises(Unanswered):
            await subscriber.subscribe(source.url, ())
        assert source.hung_up.wait(DEADLINE), "before the answer was whole"
        source.hung_up.clear()

    with Source() as source:
        told.run(story)
        assert source.hung_up.wait(DEADLINE), "at the end, too"


def test_the_password_goes_to_the_host_that_was_named_alone() -> None:
    told = Listening()
    basic = "Basic dXNlcjpzZWNyZXQ="

    async def story(subscriber: Subscriber) -> None:
        await subscriber.subscribe(source.url, (), user="user", password="secret")
        await subscriber.subscribe(source.url, (), user="user", password="secret", named="http://localhost:1/x")
        await subscriber.subscribe(source.url, (), user="user", password="secret", named="http://127.0.0.3/")

    with Source("127.0.0.2") as manager, Source(manager=manager.url) as source:
        told.run(story)
        assert [said for _, said, _ in source.asked] == [basic, basic, None]
        assert [(action, said) for action, said, _ in manager.asked] == [(UNSUBSCRIBE, None)] * 3
    with Source() as source:
        told.run(lambda subscriber: subscriber.subscribe(source.url, (), user="user", password="secret"))
        assert [said for _, said, _ in source.asked] == [basic, basic]


def test_one_that_is_granted_for_no_time_to_speak_of_is_not_renewed_all_the_time() -> None:
    told = Listening()

    async def story(subscriber: Subscriber) -> None:
        held = await subscriber.subscribe(source.url, ())
        await until(lambda: held.renewals == 2, "two renewals")

    with Source(expires="PT0.001S") as source:
        told.run(story)
        times = [at for action, _, at in source.asked if action in (SUBSCRIBE, RENEW)]
        assert all(after - before > 0.9 for before, after in itertools.pairwise(times))
    for nothing in ("PT0S", "-PT5S"):
        with Source(expires=nothing) as source, pytest.raises(RemoteError, match="seconds is none"):
            told.run(lambda subscriber: subscriber.subscribe(source.url, ()))


def test_it_is_back_when_the_device_is(house: House) -> None:
    device = house.open(Role.METER, "grid://h/1/7", house.substation)
    told = Listening(expires=2.0)

    async def story(subscriber: Subscriber) -> None:
        source = device.url("/Tariff")
        await subscriber.subscribe(source, (TARIFF_CHANGED,))
        settings = await asyncio.to_thread(house.crash, device)
        again = await asyncio.to_thread(
            lambda: house.open(Role.METER, "grid://h/1/7", house.substation, key=house.operator, again=settings)
        )
        await until(lambda: len(subscriptions(again)) == 1, "the subscription at the device that is back")
        version = await fired(house, again)
        await until(lambda: told.versions == [version], "an event")
        # It goes in order this time.
        await asyncio.to_thread(house.shut, again)
        await until(lambda: len(told.lines) >= 3, "the end")
        assert str(Ending.SOURCE_SHUTTING_DOWN) in told.lines[2]

    told.run(story)
    assert "renew" in told.lines[0]
    assert told.lines[1].endswith("has taken the subscription again")


def test_what_a_source_refuses_is_raised_and_leaves_nothing_behind(house: House) -> None:
    told = Listening()

    async def story(subscriber: Subscriber) -> None:
        with pytest.raises(RemoteError, match="lets no event"):
            await subscriber.subscribe(house.meter.url("/Tariff"), ("urn:nothing",))
        with pytest.raises(RemoteError, match="only http"):
            await subscriber.subscribe("https://127.0.0.1/x", ())
        # By gossip for nobody in particular: the device does not sign for it.
        with pytest.raises(RemoteError):
            await subscriber.subscribe(house.meter.url("/Tariff"), (), mode=BY_GOSSIP)

    told.run(story)
    assert len(subscriptions(house.meter)) == 0


def test_who_does_not_know_the_sink_forges_no_event(house: House) -> None:
    told = Listening()

    async def story(subscriber: Subscriber) -> None:
        held = await subscriber.subscribe(house.meter.url("/Tariff"), ())
        assert held.request.notify_to is not None
        sink = Address.parse(held.request.notify_to.address)

        def post(path: str, frame: bytes) -> int:
            connection = http.client.HTTPConnection(sink.host, sink.port, timeout=DEADLINE)
            connection.request("POST", path, frame)
            status = connection.getresponse().status
            connection.close()
            return status

        event = plain(TARIFF_CHANGED, b"<forged/>")
        assert await asyncio.to_thread(post, "/", event) == 404
        assert await asyncio.to_thread(post, sink.path, b"<junk") == 400
        assert told.events == []
        for _ in range(2):  # sent again, as by a source that missed the receipt
            assert await asyncio.to_thread(post, sink.path, event) == 202
        assert len(told.events) == 1
        assert subscriber.counters == {"malformed": 1, "events": 1, "copies": 1}

    told.run(story)


def test_events_are_found_by_their_names(house: House) -> None:
    def find(url: str, *names: str) -> tuple[EventSource, ...]:
        return asyncio.run(find_events(url, names))

    meter, service = house.meter.url(""), house.meter.url("/Tariff")
    source = EventSource(service, service + "/gossip", {"TariffChanged": TARIFF_CHANGED}, house.meter.id)
    assert find(meter, "TariffChanged") == (source,)
    # Of other stacks' devices the address has a path, and nothing tells it from a service's.
    assert find(house.meter.url("/device"), "TariffChanged") == (source,)
    assert find(service) == (EventSource(service, "", {"TariffChanged": TARIFF_CHANGED}),)
    assert {name for one in find(meter) for name in one.events} == {"TariffChanged", "DemandAlarm"}
    with pytest.raises(LocalError, match=r"no event Nothing.*DemandAlarm, TariffChanged"):
        find(meter, "TariffChanged", "Nothing")
    with pytest.raises(LocalError, match=r"no event at .*none"):
        find(house.meter.url("/Peers"))
    with pytest.raises(LocalError, match="by http"):
        own_address("soap.udp://127.0.0.1:1")


def subscribing(*arguments: str) -> subprocess.Popen[str]:
    command = [*CLI, "subscribe", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def interrupted(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=4 * DEADLINE)
    return process.returncode, out, err


def test_the_command_prints_events_until_it_is_interrupted(house: House) -> None:
    process = subscribing(house.meter.url(""), "--event", "TariffChanged", "--json")
    eventually(lambda: len(subscriptions(house.meter)) == 1)
    version = house.fire(house.meter)
    assert process.stdout is not None
    told = json.loads(process.stdout.readline())
    assert (told["event"], told["action"], told["source"]) == (
        "TariffChanged",
        TARIFF_CHANGED,
        house.meter.url("/Tariff"),
    )
    assert (told["body"]["device"], told["body"]["tariff"]["version"]) == (house.meter.id, version)
    assert interrupted(process) == (0, "", "")
    assert len(subscriptions(house.meter)) == 0


def test_the_command_hears_by_gossip_through_a_device_near_by(house: House, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("open sesame\n")
    credentials = ("--user", "dispatcher", "--password-file", str(tmp_path / "password"))
    process = subscribing(
        house.top.url(""), "--event", "TariffChanged", "--via", house.meter.url(""), "--count", "1", *credentials
    )
    eventually(lambda: len(subscriptions(house.top)) == len(subscriptions(house.meter)) == 1)
    version = house.fire(house.top)
    out, err = process.communicate(timeout=4 * DEADLINE)
    assert (process.returncode, err) == (0, "")
    assert f" TariffChanged device={house.top.id} tariff.id=winter tariff.version={version} " in out
    assert house.top.counters["events gossiped"] == 1
    assert len(subscriptions(house.top)) == len(subscriptions(house.meter)) == 0


def test_the_command_says_in_one_line_what_is_wrong(house: House) -> None:
    process = subscribing(house.meter.url(""), "--event", "Nothing")
    out, err = process.communicate(timeout=4 * DEADLINE)
    assert (process.returncode, out, err.count("\n")) == (2, "", 1)
    assert "there are DemandAlarm, TariffChanged" in err
