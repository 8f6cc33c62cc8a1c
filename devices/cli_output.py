"""What the verbs have in common: options, passwords, and what is said on the way."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

import click

from gossip_ws.kernel.errors import LocalError

F = TypeVar("F", bound=Callable[..., Any])


class Number(click.FloatRange):
    """As click's, which lets NaN pass, as it is not outside of anything, and infinity where there is no upper end."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if not isfinite(number):
            self.fail(f"{number} is no number", param, ctx)
        return number


as_json = click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
timeout = click.option(
    "--timeout",
    "--wait",
    type=Number(min=0.1, max=600),
    help="Seconds to wait for devices; without, what the service advertises.",
)


def credentials(function: F) -> F:
    """`--user` and `--password-file`."""
    function = click.option("--user", default="", help="Whose password is sent (HTTP Basic).")(function)
    return click.option(
        "--password-file",
        type=click.Path(path_type=Path),
        help="First line of this file; - reads standard input.",
    )(function)


def spread(function: F) -> F:
    """`--fanout`, `--rounds` and `--type`."""
    function = click.option(
        "--fanout", type=click.IntRange(0, 64), help="Peers a relay sends to; with --rounds. Follows the population."
    )(function)
    function = click.option("--rounds", type=click.IntRange(0, 32), help="Hops among equals; with --fanout.")(function)
    return click.option("--type", "types", multiple=True, help="Only devices of this type, {namespace}name.")(function)


def password(file: Path | None, user: str) -> str:
    """The first line of the file. Raises LocalError: no file, or one of user and password without the other."""
    if file is None:
        if user:
            raise LocalError("--user needs a --password-file")
        return ""
    if not user:
        raise LocalError("--password-file needs a --user")
    if str(file) == "-":
        return sys.stdin.readline().rstrip("\r\n")
    try:
        with file.open(encoding="utf-8") as stream:
            return stream.readline(4_096).rstrip("\r\n")
    except OSError as error:
        raise LocalError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise LocalError(f"{file}: not text in UTF-8") from None


def type_name(name: str) -> str:
    """A type in Clark notation; a bare name is one of the grid's. Raises LocalError."""
    from gossip_ws.kernel.errors import RemoteError
    from gossip_ws.kernel.names import GRID, qname
    from gossip_ws.wire.values import clark

    try:
        return clark(name if name.startswith("{") else qname(GRID, name))
    except RemoteError as error:
        raise LocalError(f"--type: {error}") from None


@contextmanager
def laboratory() -> Iterator[None]:
    """Around imports that need the extra `lab`. Raises LocalError, which names it, where one of its packages is
    missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("gossip_ws"):
            raise
        raise LocalError(f"no {error.name}: this needs the laboratory: pip install 'gossip-ws[lab]'") from None


def say_json(value: Any) -> None:
    """One JSON value on one line, at once: whoever reads line by line does not wait."""
    click.echo(json.dumps(value))
    sys.stdout.flush()


class Progress:
    """A line on standard error that is replaced, and only where somebody is looking."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()

    def say(self, what: str) -> None:
        if self._shown:
            click.echo(f"\r\033[K{what}", nl=False, err=True)

    def clear(self) -> None:
        self.say("")
