"""`gossip-ws key`: new, show, password."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gossip_ws.devices.cli_output import as_json, say_json
from gossip_ws.kernel.errors import LocalError
from gossip_ws.security.keys import PrivateKey, PublicKey


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
