"""`gossip-ws`: the command line. Each verb is imported when it is called and not before.

Exit codes: 0 fine, 1 the answer is bad, 2 the call or the configuration is wrong. Errors are one line on standard
error.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import click

from gossip_ws import __version__
from gossip_ws.kernel.errors import GossipError, LocalError

BAD_ANSWER: Final = 1
BAD_USAGE: Final = 2
_INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True)
class Verb:
    """Where a command is, `module:name`, and what it does, in one line."""

    place: str
    help: str


class Lazy(click.Group):
    """A group that knows its verbs by name and imports the one that is called."""

    def __init__(self, *args: Any, verbs: Mapping[str, Verb], **more: Any) -> None:
        super().__init__(*args, **more)
        self._verbs = verbs

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args:
            click.echo(ctx.get_help(), err=True)
            ctx.exit(BAD_USAGE)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        verb = self._verbs.get(cmd_name)
        if verb is None:
            return None
        module, _, name = verb.place.partition(":")
        command = getattr(import_module(module), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{verb.place} is no command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.help) for name, verb in self._verbs.items()])


_DEVICE: Final = {"run": Verb("gossip_ws.devices.cli_device:run", "Run the device that a TOML file describes.")}
_PROXY: Final = {"run": Verb("gossip_ws.devices.cli_proxy:run", "Run a discovery proxy for its segments.")}
_KEY: Final = {
    "new": Verb("gossip_ws.devices.cli_keys:new", "Make a key and write it to a file."),
    "show": Verb("gossip_ws.devices.cli_keys:show", "Show a key's id and its public half."),
    "enrol": Verb("gossip_ws.devices.cli_keys:enrol", "Bind a key to a device's identity and place in the grid."),
    "list": Verb("gossip_ws.devices.cli_keys:list_", "List enrolments, as an operator has signed them."),
    "password": Verb("gossip_ws.devices.cli_keys:password", "Hash a password for a trust file."),
}
_GRID: Final = {
    "import": Verb("gossip_ws.devices.cli_grid:import_", "Make a grid file from a SimBench grid."),
    "list": Verb("gossip_ws.devices.cli_grid:list_", "List the grids that ship with the package."),
}
# Listed before they are made, so that each is a verb like any other.
device = Lazy("device", verbs=_DEVICE, help="Run single devices.")
proxy = Lazy("proxy", verbs=_PROXY, help="Answer for the devices of a segment.")
key = Lazy("key", verbs=_KEY, help="Make, show and enrol keys, hash passwords.")
grid = Lazy("grid", verbs=_GRID, help="The grids that a city is made from.")

_VERBS: Final = {
    "city": Verb("gossip_ws.devices.city_command:city", "Run a city on this machine: push a tariff, pull the demand."),
    "device": Verb("gossip_ws.devices.cli:device", device.help or ""),
    "discover": Verb("gossip_ws.devices.cli_discover:discover", "Find devices on the network by WS-Discovery."),
    "conform": Verb("gossip_ws.devices.cli_conform:conform", "Check any DPWS device against the profile."),
    "proxy": Verb("gossip_ws.devices.cli:proxy", proxy.help or ""),
    "push-tariff": Verb("gossip_ws.devices.cli_tariff:push_tariff", "Push a tariff to all devices of an area."),
    "pull-demand": Verb("gossip_ws.devices.cli_demand:pull_demand", "Pull the demand of an area, aggregated."),
    "route": Verb("gossip_ws.devices.cli_route:route", "Route messages by link gradients, in a simulation."),
    "balance": Verb("gossip_ws.devices.cli_balance:balance_", "Let a grid's devices agree on who gives what to whom."),
    "subscribe": Verb("gossip_ws.devices.cli_subscribe:subscribe", "Print the events of a device as they come."),
    "simulate": Verb("gossip_ws.devices.cli_simulate:simulate", "Simulate how a message spreads among many devices."),
    "plot": Verb("gossip_ws.devices.cli_plot:plot", "Draw what simulations say: spread, coverage, redundancy, load."),
    "plan": Verb("gossip_ws.devices.cli_plan:plan", "Plan a push: fanout, rounds, what they promise and cost."),
    "key": Verb("gossip_ws.devices.cli:key", key.help or ""),
    "grid": Verb("gossip_ws.devices.cli:grid", grid.help or ""),
    "what-if": Verb("gossip_ws.devices.cli_what_if:what_if_", "What a tariff would make of a grid's day."),
}


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        click.echo(__version__)
        ctx.exit()


root = Lazy(
    "gossip-ws",
    verbs=_VERBS,
    help="Devices whose SOAP services gossip: push a tariff to a city, pull its demand.",
    epilog="Try: gossip-ws city --meters 20",
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_version,
            help="Show the version.",
        )
    ],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a verb and exit with its code."""
    sys.exit(call(arguments))


def call(arguments: Sequence[str] | None = None) -> int:
    """Run a verb; its exit code."""
    try:
        code = root.main(
            args=list(arguments) if arguments is not None else None, prog_name="gossip-ws", standalone_mode=False
        )
    except click.ClickException as error:
        return _complain(error.format_message(), BAD_USAGE)
    except click.Abort:
        return _complain("interrupted", _INTERRUPTED)
    except LocalError as error:
        return _complain(str(error), BAD_USAGE)
    except GossipError as error:
        return _complain(str(error), BAD_ANSWER)
    except BrokenPipeError:
        # Whoever read our output has seen enough; nothing more can be written, at exit neither.
        sys.stdout = None
        return BAD_ANSWER
    return code if isinstance(code, int) else 0


def _complain(reason: str, code: int) -> int:
    click.echo(f"gossip-ws: {' '.join(reason.split())}", err=True)
    return code


if __name__ == "__main__":
    main()
