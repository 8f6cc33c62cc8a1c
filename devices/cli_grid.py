"""`gossip-ws grid`: import, list."""

from __future__ import annotations

from pathlib import Path

import click

from gossip_ws.devices.cli_output import as_json, say_json
from gossip_ws.kernel.errors import LocalError


@click.command(
    "import",
    epilog="""\b
Example:
  gossip-ws grid import 1-LV-semiurb4--2-sw --output grids
  gossip-ws city --grid grids/1-LV-semiurb4--2-sw.json.gz
""",
)
@click.argument("code")
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path(), help="The folder to write to; here without it."
)
@as_json
def import_(code: str, output: Path, as_json: bool) -> None:
    """Make a grid file from the SimBench grid CODE. Needs the laboratory: pip install 'gossip-ws[lab]'."""
    from gossip_ws.lab.simbench_import import import_grid

    if not output.is_dir():
        raise LocalError(f"--output: not a folder: {output}")
    try:
        path = import_grid(code, output)
    except OSError as error:
        raise LocalError(f"{output}: {error.strerror}") from None
    if as_json:
        say_json({"code": code, "file": str(path), "octets": path.stat().st_size})
    else:
        click.echo(f"{path} ({path.stat().st_size} octets)")


@click.command(
    "list",
    epilog="""\b
Example:
  gossip-ws grid list
""",
)
@as_json
def list_(as_json: bool) -> None:
    """List the grids that ship with the package, with their numbers of devices."""
    from gossip_ws.grid.population import available, load

    rows = [(code, load(code).counts()) for code in available()]
    if as_json:
        say_json(
            [
                {"code": code, "SSC": count.substations, "SM": count.meters, "IED": count.appliances}
                for code, count in rows
            ]
        )
        return
    click.echo(f"{'code':28} {'SSC':>6} {'SM':>6} {'IED':>6}")
    for code, count in rows:
        click.echo(f"{code:28} {count.substations:6} {count.meters:6} {count.appliances:6}")
