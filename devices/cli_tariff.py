"""`gossip-ws push-tariff`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from gossip_ws.client import wanted
from gossip_ws.devices import cli_output as output
from gossip_ws.devices.cli_entry import client_for, report_client
from gossip_ws.devices.cli_receipt import WITHIN, ask_receipt, receipt_object, say_receipt
from gossip_ws.devices.config_energy import minute_of_day
from gossip_ws.devices.reports import Receipt
from gossip_ws.devices.tariff_file import Pushed, read_price, read_tariff, read_time
from gossip_ws.kernel.errors import LocalError
from gossip_ws.kernel.names import TARIFF, qname
from gossip_ws.kernel.terms import Variant
from gossip_ws.net.multicast import Group


@click.command(
    "push-tariff",
    epilog="""\b
Example:
  gossip-ws push-tariff http://10.1.0.1:8080 --tariff night.json \\
      --user dispatcher --password-file password.txt
  gossip-ws push-tariff --scope grid://city --id night --version 7 --receipt \\
      --band 00:00-06:00=0.18 --band 06:00-24:00=0.31
\b
A tariff file is what a meter's display gets:
  {"id": "night", "version": 7, "start": "2026-11-21T00:00:00Z", "end": "2026-12-21T00:00:00Z",
   "bands": [{"fromMinute": 0, "toMinute": 360, "price": "0.18"}, ...]}
""",
)
@click.argument("url", default="")
@click.option("--scope", "scopes", multiple=True, help="The area; without URL, also where a device is looked for.")
@click.option("--tariff", "file", type=click.Path(path_type=Path), help="A tariff in JSON.")
@click.option("--id", "id_", help="The tariff's id.")
@click.option("--version", type=click.IntRange(min=1), help="Supersedes lower ones of the same issuer.")
@click.option("--start", help="ISO 8601 with a time zone; now without it.")
@click.option("--end", help="The same; a day after the start without it.")
@click.option("--band", "bands", multiple=True, help="HH:MM-HH:MM=PRICE, UTC and EUR/kWh; as many as there are.")
@click.option("--variant", type=click.Choice([one.value for one in Variant]), help="How it spreads.")
@click.option("--receipt", is_flag=True, help="Ask everyone whether they have it; tell who has not.")
@click.option(
    "--within", type=output.Number(0.1, 3600), help="Seconds after which it is not asked again; with --receipt: 10."
)
@click.option("--lifetime", type=output.Number(min=0.1), help="Seconds that the message may spread.")
@output.spread
@output.credentials
@click.option("--timeout", type=output.Number(0.1, 3600), help="Seconds to wait for the device.")
@click.option("--interface", "interfaces", multiple=True, help="Where to look for a device, without URL.")
@click.option("--port", type=click.IntRange(1, 65_535), default=Group().port, help="Discovery's port, without URL.")
@output.as_json
def push_tariff(
    url: str,
    scopes: Sequence[str],
    file: Path | None,
    id_: str | None,
    version: int | None,
    start: str | None,
    end: str | None,
    bands: Sequence[str],
    variant: str | None,
    receipt: bool,
    within: float | None,
    lifetime: float | None,
    types: Sequence[str],
    fanout: int | None,
    rounds: int | None,
    user: str,
    password_file: Path | None,
    timeout: float | None,
    interfaces: Sequence[str],
    port: int,
    as_json: bool,
) -> None:
    """Push a tariff to every device of an area, through the device at URL (its address, or its Tariff service's).

    It is accepted when the device has judged it, signed it and sent it on; exit code 1 when it refused. How far
    it came is told by --receipt, by asking: then the exit code is 0 only if everyone who is expected is known to
    have it.
    """
    if within is not None and not receipt:
        raise LocalError("--within goes with --receipt")
    if not url and not scopes:
        raise LocalError("a URL, or a --scope in which a device is looked for")
    inline = {"id": id_, "version": version, "start": start, "end": end, "bands": list(bands)}
    if file is not None and any(inline.values()):
        raise LocalError("a tariff is in a file or in options, not in both")
    tariff = _from_options(inline) if file is None else read_tariff(file)
    asked = wanted(
        scopes=scopes,
        types=map(output.type_name, types),
        fanout=fanout,
        rounds=rounds,
        lifetime=lifetime,
        variant=Variant(variant) if variant else None,
    )
    secret = output.password(password_file, user)
    client = client_for(
        url,
        qname(TARIFF, "Tariff"),
        scopes=scopes,
        interfaces=interfaces,
        group=Group(port=port),
        user=user,
        password=secret,
        timeout=timeout,
    )
    accepted = {"accepted": True, "at": client.shadow, "id": tariff.id, "version": tariff.version}
    with ExitStack() as open_clients:
        open_clients.callback(client.close)
        reports = None
        if receipt:
            # Before anything is pushed: a device that cannot be asked is told at once.
            reports = report_client(client, user=user, password=secret)
            open_clients.callback(reports.close)
        id = client.call("SetTariff", tariff.parameter(), wanted=asked).id
        if reports is None:
            if as_json:
                output.say_json(accepted)
            else:
                _say_accepted(accepted)
            return
        if not as_json:
            _say_accepted(accepted)
        told = ask_receipt(reports, id, asked, within or WITHIN)
    if as_json:
        output.say_json({**accepted, **receipt_object(told)})
    else:
        say_receipt(told)
    if not isinstance(told, Receipt) or not told.is_whole:
        click.get_current_context().exit(1)


def _say_accepted(accepted: Mapping[str, Any]) -> None:
    click.echo(f"accepted by {accepted['at']}: {accepted['id']}, version {accepted['version']}")


def _from_options(given: Mapping[str, Any]) -> Pushed:
    if not given["id"] or not given["version"] or not given["bands"]:
        raise LocalError("a tariff is a --tariff FILE, or --id, --version and at least one --band")
    start = read_time("--start", given["start"]) if given["start"] else datetime.now(UTC).replace(microsecond=0)
    end = read_time("--end", given["end"]) if given["end"] else start + timedelta(days=1)
    return Pushed(given["id"], given["version"], start, end, tuple(map(_band, given["bands"])))


def _band(written: str) -> tuple[int, int, Decimal]:
    times, equals, price = written.partition("=")
    start, dash, end = times.partition("-")
    if not equals or not dash:
        raise LocalError(f"--band: not HH:MM-HH:MM=PRICE: {written!r}")
    return minute_of_day(start), minute_of_day(end), read_price("--band", price)
