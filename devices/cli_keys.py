"""`gossip-ws key`: new, show, enrol, list, password."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from gossip_ws.devices.cli_output import Number, as_json, say_json
from gossip_ws.kernel.errors import LocalError
from gossip_ws.security.keys import PrivateKey, PublicKey

BAD_ANSWER: Final = 1


@click.command(
    epilog="""\b
Example:
  gossip-ws key new meter.key      # and meter.key.pub, for others' trust files
"""
)
@click.argument("file", type=click.Path(path_type=Path))
@as_json
def new(file: Path, as_json: bool) -> None:
    """Make an Ed25519 key: the private half in FILE, for its owner alone, the public half in FILE.pub.

    A file that exists is not overwritten.
    """
    public = file.with_name(file.name + ".pub")
    if public.exists():
        raise LocalError(f"{public}: exists; a key is not overwritten")
    key = PrivateKey.generate()
    key.save(file)
    try:
        public.write_bytes(key.public.pem())
    except OSError as error:
        raise LocalError(f"{public}: {error.strerror}") from None
    if as_json:
        say_json({"id": key.id, "private": str(file), "public": str(public)})
    else:
        click.echo(f"key {key.id} in {file}, its public half in {public}")


@click.command(
    epilog="""\b
Example:
  gossip-ws key show meter.key
"""
)
@click.argument("file", type=click.Path(path_type=Path))
@as_json
def show(file: Path, as_json: bool) -> None:
    """Show the id and the public half of the key in FILE, a private or a public one."""
    try:
        public = PublicKey.load(file)
    except LocalError:
        public = PrivateKey.load(file).public
    pem = public.pem().decode()
    if as_json:
        say_json({"id": public.id, "public": pem})
    else:
        click.echo(f"key {public.id}\n{pem}", nl=False)


@click.command(
    epilog="""\b
Example:
  gossip-ws key enrol meter.key.pub --operator operator.key --place grid://town/1/7 \\
      --device urn:uuid:1f0a1d5e-0f8e-4c8a-9b53-5c1c8a6e7d10 --into enrolments.jsonl
"""
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--operator", required=True, type=click.Path(path_type=Path), help="The operator's private key.")
@click.option("--device", required=True, help="The device's identity, urn:uuid:...")
@click.option("--place", required=True, help="Its scope in the grid, as grid://town/1/7.")
@click.option("--bus", type=click.IntRange(0), help="Where it hangs on the feeder tree of an instance.")
@click.option("--meter", type=click.Path(path_type=Path), help="Public key of the meter that measures it.")
@click.option("--days", type=Number(0, 36_525, min_open=True), default=365, show_default=True, help="Valid.")
@click.option("--into", type=click.Path(path_type=Path), help="Put it into this file, in place of its last one.")
@as_json
def enrol(
    file: Path,
    operator: Path,
    device: str,
    place: str,
    bus: int | None,
    meter: Path | None,
    days: float,
    into: Path | None,
    as_json: bool,
) -> None:
    """Bind the public key in FILE to a device's identity and its place in the grid, signed by the operator.

    Prints the enrolment, a line of JSON, unless it goes --into a file of them.
    """
    from gossip_ws.security import enrolment

    signer = PrivateKey.load(operator)
    measured = PublicKey.load(meter) if meter is not None else None
    now = int(time.time())
    until = now + max(1, round(days * 86_400))
    made = enrolment.enrol(signer, device, PublicKey.load(file), place, now, until, bus=bus, meter=measured)
    if into is None:
        click.echo(made.line())
        return
    there = enrolment.load(into, [signer.public]) if into.exists() else enrolment.Enrolments()
    kept = [one for one in there.values() if one.device != made.device]
    if len(kept) >= enrolment.MOST:
        raise LocalError(f"{into}: has {enrolment.MOST} enrolments already")
    enrolment.save(into, enrolment.Enrolments([*kept, made]))
    if as_json:
        say_json({"device": made.device, "key": made.key.id, "place": made.place, "into": str(into)})
    else:
        click.echo(
            f"{made.device} with key {made.key.id} at {made.place} until {enrolment.time_text(until)}, in {into}"
        )


@click.command(
    "list",
    epilog="""\b
Example:
  gossip-ws key list enrolments.jsonl --operator operator.key.pub
""",
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--operator", "operators", multiple=True, required=True, type=click.Path(path_type=Path), help="Whose.")
@as_json
def list_(file: Path, operators: Sequence[Path], as_json: bool) -> int:
    """List the enrolments in FILE that --operator, a public key, has signed. May be given several times.

    Exit code 1 when one of them is not valid now, 2 when one is forged or of another operator.
    """
    from gossip_ws.security import enrolment

    found = enrolment.load(file, [PublicKey.load(operator) for operator in operators])
    now = time.time()
    rows = [
        (one, "valid" if one.is_valid(now) else "expired" if now >= one.until else "not yet") for one in found.values()
    ]
    if as_json:
        say_json([json.loads(one.line()) | {"key_id": one.key.id, "state": state} for one, state in rows])
    else:
        for one, state in rows:
            bus = "" if one.bus is None else f" bus {one.bus}"
            click.echo(
                f"{state:7} {one.device} key {one.key.id} {one.place}{bus} until {enrolment.time_text(one.until)}"
            )
    return 0 if all(state == "valid" for _, state in rows) else BAD_ANSWER


@click.command(
    epilog="""\b
Example:
  gossip-ws key password < password.txt
"""
)
@as_json
def password(as_json: bool) -> None:
    """Read a password, from the terminal or as a line of standard input, and print its hash for a trust file."""
    from gossip_ws.security.passwords import PasswordHash

    if sys.stdin.isatty():
        typed = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        typed = sys.stdin.readline().rstrip("\r\n")
    if not typed:
        raise LocalError("an empty password is none")
    hashed = str(PasswordHash.of(typed))
    if as_json:
        say_json({"password": hashed})
    else:
        click.echo(hashed)
