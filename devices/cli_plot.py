"""`gossip-ws plot`: pictures of what simulations say."""

from __future__ import annotations

import time
from pathlib import Path

import click

from gossip_ws.devices.cli_output import Progress, as_json, laboratory, say_json
from gossip_ws.kernel.errors import LocalError


@click.command(
    "plot",
    epilog="""\b
Example:
  gossip-ws plot list
  gossip-ws plot spread --output spread.png
  gossip-ws plot load --output load.svg --nodes 100000 --repeat 20
""",
)
@click.argument("name")
@click.option("--output", type=click.Path(path_type=Path), help="The file to write, PNG or SVG.")
@click.option("--nodes", type=click.IntRange(min=10), help="Devices, or the most of them; the picture has its own.")
@click.option("--repeat", type=click.IntRange(1, 100_000), help="Repetitions of each trial; the picture has its own.")
@click.option("--seed", type=click.IntRange(min=0), default=1, help="The same gives the same (default: 1).")
@as_json
def plot(name: str, output: Path | None, nodes: int | None, repeat: int | None, seed: int, as_json: bool) -> None:
    """Simulate what the picture NAME shows, and draw it; `list` tells the names.

    Needs the laboratory: pip install 'gossip-ws[lab]'.
    """
    with laboratory():
        from gossip_ws.lab import drawing
        from gossip_ws.lab.pictures import PICTURES, Scale
    if name == "list":
        for known, picture in PICTURES.items():
            if as_json:
                say_json({"name": known, "shows": picture.shows, "nodes": picture.nodes, "repeat": picture.repeat})
            else:
                click.echo(f"{known:12} {picture.shows}")
        return
    if name not in PICTURES:
        raise LocalError(f"no picture {name[:40]!r}: {', '.join(PICTURES)}")
    if output is None:
        raise LocalError("--output is missing: the file to write")
    drawing.check(output)
    picture = PICTURES[name]
    progress, begin = Progress(), time.monotonic()
    progress.say(f"simulating {name}")
    try:
        drawing.save(picture.draw(Scale(nodes or picture.nodes, repeat or picture.repeat, seed)), output)
    finally:
        progress.clear()
    if as_json:
        octets, seconds = output.stat().st_size, time.monotonic() - begin
        say_json({"name": name, "file": str(output), "octets": octets, "seconds": seconds})
    else:
        click.echo(f"{output}: {time.monotonic() - begin:.1f} s")
