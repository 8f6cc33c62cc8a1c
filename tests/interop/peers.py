"""Software of others that calls devices and looks for them, and what a test needs to run it.

Each peer comes from its own package manager; a test of one that is missing is skipped and says how to get it.
`works` says which cell of the README's table a test stands for.
"""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from uuid import uuid4

import pytest
from single_devices import Running, start

ROOT = Path(__file__).parents[2]
LEGACY = ROOT / "docs" / "legacy.md"
NODE_MODULES = Path(sys.prefix) / "npm" / "node_modules"
"""Where `make` puts the packages of npm."""
MARK = "works"
ABILITIES = {
    "wsdl": "WSDLs load",
    "original": "calls a device",
    "shadow": "calls through gossip",
    "faults": "reads faults",
    "headers": "headers",
    "describes": "Get, GetMetadata",
    "events": "events",
    "finds": "finds a device",
    "found": "is found",
    "tells": "is subscribed to",
}
"""The columns of the README's table: the name of a claim, and its heading."""


def works(peer: str, *abilities: str) -> pytest.MarkDecorator:
    """While this test passes, `peer` has these `abilities`."""
    assert set(abilities) <= ABILITIES.keys()
    return getattr(pytest.mark, MARK)(peer, *abilities)  # type: ignore[no-any-return]


def pip_package(module: str, package: str) -> ModuleType:
    """The module of a package of the `peers` extra. Its warnings on import are its own affair."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        pytest.skip(f'{package} is missing: pip install -e ".[peers]"')


def npm_package(name: str) -> Path:
    """The folder of a package of npm."""
    if shutil.which("node") is None:
        pytest.skip(f"node is missing, and so is its package {name}")
    folder = NODE_MODULES / name
    if not folder.is_dir():
        pytest.skip(f"{name} for node is missing: npm install --prefix {NODE_MODULES.parent} {name}")
    return folder


def debian_packages(commands: tuple[str, ...], packages: str) -> None:
    """What has no package but the system's."""
    missing = [command for command in commands if shutil.which(command) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} missing: apt-get install {packages}")


def run(*command: str | Path, cwd: Path, code: int = 0, within: float = 60.0) -> str:
    """What a command says, both outputs together. AssertionError for another exit code than `code`."""
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=within, check=False,
    )  # fmt: skip
    assert done.returncode == code, f"{command} -> {done.returncode}\n{done.stdout}"
    return done.stdout


def program(heading: str, language: str) -> str:
    """The code in a section of the page for owners of legacy clients: what it shows is what is run."""
    for section in re.split(r"^## ", LEGACY.read_text(), flags=re.MULTILINE):
        if section.startswith(heading):
            found = re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
            assert len(found) == 1, f"{len(found)} blocks of {language} under {heading}"
            return str(found[0])
    raise AssertionError(f"no section {heading}")


def meter_file(folder: Path, host: str, scope: str) -> Path:
    """The configuration of a meter that takes part in discovery."""
    file = folder / "meter.toml"
    file.write_text(
        f'role = "SmartMeter"\nname = "meter {scope}"\nscopes = ["{scope}"]\naddresses = ["{host}"]\n'
        f'identity = "{uuid4().urn}"\nsecurity = "development"\n'
    )
    return file


def device_process(folder: Path, host: str, scope: str) -> Running:
    """A meter in a process of its own at a loopback address, listening to the real WS-Discovery group there."""
    return start(meter_file(folder, host, scope))


SCOPE = f"grid://interop-{uuid4().hex}/1/7"
"""Of the device that is looked for. Nobody else's: other tests may use the group at the same time."""


@pytest.fixture(scope="session")
def single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A meter that takes part in discovery on the loopback interface."""
    running = device_process(tmp_path_factory.mktemp("meter"), "127.79.0.1", SCOPE)
    yield running
    running.stop()
