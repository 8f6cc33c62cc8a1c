"""What is installed: the list of packages against the folders, both distributions, and the wheel at work."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MAPPED = {"services", "devices", "wsdl"}
DATA = {
    "gossip_ws/py.typed",
    "gossip_ws/consensus/instance.schema.json",
    "gossip_ws/wsdl/tariff.wsdl",
    "gossip_ws/wsdl/metering.wsdl",
    "gossip_ws/wsdl/peering.wsdl",
    "gossip_ws/wsdl/report.wsdl",
    "gossip_ws/wsdl/demand-sum.xslt",
    "gossip_ws/wsdl/most-congested.xslt",
    "gossip_ws/grid/data/1-MVLV-rural-all-2-sw.json.gz",
    "gossip_ws/grid/data/1-LV-rural1--2-sw.json.gz",
    "gossip_ws/grid/data/LICENSE-ODbL.txt",
    "gossip_ws/grid/data/LICENSE-DbCL.txt",
    "gossip_ws/grid/data/README.md",
}
IN_NO_WAY_PART = shutil.ignore_patterns(
    ".git", ".venv", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis"
)


def run(*command, ok=True, **options):
    """Run it away from the checkout, so that only what is installed can be found."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    options = {"cwd": Path(sys.executable).anchor, "env": clean, "timeout": 300} | options
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    assert not ok or done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done


def build(tree, to, *which):
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", to, *which, tree)


def contents(wheel):
    with zipfile.ZipFile(wheel) as file:
        assert len(file.namelist()) == len(set(file.namelist()))
        return {name: file.read(name) for name in file.namelist()}


# -- the list --------------------------------------------------------------------------------------


def packages_on_disk():
    for top, name in [("gossip_ws", "gossip_ws"), *((room, f"gossip_ws.{room}") for room in MAPPED)]:
        for folder, folders, files in os.walk(ROOT / top):
            folders[:] = [inner for inner in folders if not inner.startswith((".", "__"))]
            if "__init__.py" in files:
                yield ".".join([name, *Path(folder).relative_to(ROOT / top).parts])
            else:
                assert not any(file.endswith(".py") for file in files), f"modules outside of a package: {folder}"


def test_the_explicit_list_is_the_folders():
    listed = PROJECT["tool"]["setuptools"]["packages"]
    assert sorted(listed) == sorted(packages_on_disk())


def test_each_mapped_room_is_linked_where_it_is_imported_from():
    links = {path.name: os.readlink(path) for path in (ROOT / "gossip_ws").iterdir() if path.is_symlink()}
    if not links:
        pytest.skip("no links here: a source distribution was unpacked, which holds each file once")
    mapped = PROJECT["tool"]["setuptools"]["package-dir"]
    assert links == {room: f"../{room}" for room in MAPPED}
    assert mapped == {"gossip_ws": "gossip_ws"} | {f"gossip_ws.{room}": room for room in MAPPED}


# -- the distributions -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The sdist of a copy of this tree, and the wheel that was built from that sdist."""
    place = tmp_path_factory.mktemp("built")
    shutil.copytree(ROOT, place / "tree", symlinks=True, ignore=IN_NO_WAY_PART)
    build(place / "tree", place / "dist")
    (sdist,) = (place / "dist").glob("*.tar.gz")
    (wheel,) = (place / "dist").glob("*.whl")
    return place / "tree", sdist, wheel


def test_the_wheel_holds_every_module_once_and_the_data_with_its_licences(built):
    tree, _, wheel = built
    names = set(contents(wheel))
    modules = {
        f"gossip_ws/{path.relative_to(tree / 'gossip_ws')}"
        for path in (tree / "gossip_ws").rglob("*.py")
        if not MAPPED.intersection(path.relative_to(tree / "gossip_ws").parts[:1])
    }
    modules |= {f"gossip_ws/{path.relative_to(tree)}" for room in MAPPED for path in (tree / room).rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == modules
    assert names >= DATA
    assert {name.partition("/")[0] for name in names} == {"gossip_ws", wheel.name.rsplit("-", 3)[0] + ".dist-info"}
    licences = {name.rpartition("/licenses/")[2] for name in names if "/licenses/" in name}
    assert licences == {"LICENSE"} | {name for name in DATA if "LICENSE" in name}


def test_the_sdist_holds_what_it_takes_to_test_it_and_builds_the_same_wheel_as_the_tree(built, tmp_path):
    tree, sdist, wheel = built
    with tarfile.open(sdist) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
        assert not any(member.issym() for member in file.getmembers())
    tests = {str(path.relative_to(tree)) for path in (tree / "tests").rglob("*.py")}
    assert names >= {"Makefile", "README.md", "CHANGELOG.md", "LICENSE", "docs/design.md", "docs/wire.md", ".ci/run"}
    assert names >= tests
    # The tree has the links, the sdist that the other wheel came from has not.
    build(tree, tmp_path, "--wheel")
    (direct,) = tmp_path.glob("*.whl")
    assert contents(direct) == contents(wheel)


# -- installed -------------------------------------------------------------------------------------


def site_packages(python):
    return Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip())


def empty_environment(interpreter, place):
    run(interpreter, "-m", "venv", "--without-pip", place)
    return place / "bin" / "python"


def pip(python, *arguments, ok=True):
    return run(sys.executable, "-m", "pip", "--python", python, *arguments, ok=ok)


def test_into_the_running_interpreter_comes_only_gossip_ws(built, tmp_path):
    python = empty_environment(sys.executable, tmp_path / "venv")
    pip(python, "install", "--no-deps", "--no-index", built[2])
    found = site_packages(python)
    assert {path.name for path in found.iterdir()} == {"gossip_ws", built[2].name.rsplit("-", 3)[0] + ".dist-info"}
    # What it depends on is borrowed from the environment of these tests.
    (found / "borrowed.pth").write_text(str(site_packages(sys.executable)) + "\n")
    at_work(python, found)


def test_editable_from_a_tree_that_lost_its_links(built, tmp_path):
    with tarfile.open(built[1]) as file:
        file.extractall(tmp_path, filter="data")
    (tree,) = tmp_path.glob("gossip_ws-*")
    python = empty_environment(sys.executable, tmp_path / "venv")
    borrowed = site_packages(python) / "borrowed.pth"
    borrowed.write_text(str(site_packages(sys.executable)) + "\n")
    pip(python, "install", "--no-deps", "--no-index", "--no-build-isolation", "--editable", tree)
    at_work(python, tree)


def at_work(python, installed):
    """Every room is imported from `installed`, and so are the services, without one warning; the script runs."""
    rooms = ", ".join(PROJECT["tool"]["setuptools"]["packages"])
    where = f"import {rooms}; print(*(m.__file__ for m in (gossip_ws.services, gossip_ws.devices, gossip_ws.wsdl)))"
    for file in run(python, "-W", "error", "-c", where).stdout.split():
        assert Path(file).is_relative_to(installed)
    script = python.parent / "gossip-ws"
    assert PROJECT["project"]["name"] in run(script, "--help").stdout
    assert "1-LV-rural1--2-sw" in run(script, "grid", "list").stdout


def interpreter(version):
    """A Python of `version` on this machine, or a skip that says that there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [sys.executable, shutil.which(f"python{version}")]
    candidates += [str(path) for path in sorted(pyenv.glob(f"{version}.*/bin/python"))]
    tell = "import sys; print('%d.%d' % sys.version_info[:2], sys._base_executable)"
    for candidate in filter(None, candidates):
        told = run(candidate, "-c", tell, ok=False).stdout.split(maxsplit=1)
        if told and told[0] == version:
            return told[1].strip()
    pytest.skip(f"no python{version} on this machine")


@pytest.mark.parametrize("version", ["3.11", "3.13"])
def test_into_an_empty_environment_with_what_it_depends_on(version, built, tmp_path):
    python = empty_environment(interpreter(version), tmp_path / "venv")
    done = pip(python, "install", "--quiet", "--disable-pip-version-check", built[2], ok=False)
    if done.returncode:
        probe = pip(python, "download", "--quiet", "--no-deps", "--dest", tmp_path, "h11", ok=False)
        if probe.returncode:
            pytest.skip(f"no package index is reachable from here: {probe.stderr.strip().splitlines()[-1]}")
        pytest.fail(done.stderr)
    at_work(python, site_packages(python))
    # A whole city, small: discovery, Spyne, zeep, signatures and sockets on this interpreter.
    city = run(python.parent / "gossip-ws", "city", "--grid", "1-LV-rural1--2-sw", "--meters", "3", "--json")
    assert re.search(r'"missing": 0', city.stdout)
