"""Spyne's import is mended: in a fresh interpreter, with warnings as errors, leaving no trace behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def run(code: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=False, cwd=cwd
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


ROOT = Path(__file__).parents[2]


def test_it_imports_in_a_fresh_interpreter_with_warnings_as_errors() -> None:
    assert run("from gossip_ws.services import Service; sys = __import__('sys'); sys.stdout.write('ok')", ROOT) == "ok"


def test_its_importer_does_not_stay_to_warn_at_every_missing_module() -> None:
    code = """
import sys
before = len(sys.meta_path)
import gossip_ws.services
assert len(sys.meta_path) == before, sys.meta_path
try:
    import no_such_module
except ModuleNotFoundError:
    sys.stdout.write("missing")
"""
    assert run(code, ROOT) == "missing"


def test_it_brings_nothing_heavy() -> None:
    heavy = {
        "asyncio",
        "zeep",
        "requests",
        "numpy",
        "sqlalchemy",
        "twisted",
        "cgi",
        "email",
        "http.client",
        "lxml.html",
        "gossip_ws.routing",  # a meter that routes no energy has no use for it
    }
    code = f"import sys, gossip_ws.services; sys.stdout.write(str({heavy} & set(sys.modules)))"
    assert run(code, ROOT) == "set()"


def test_what_it_puts_off_is_there_for_whoever_asks() -> None:
    code = """
import sys, warnings
import gossip_ws.services
import lxml.html
assert lxml.html.fromstring("<p>real</p>").text == "real"
from spyne.protocol import xml
assert xml.html.fromstring("<p>real</p>").text == "real"
from spyne.util.six.moves.urllib.request import Request
assert Request("http://127.0.0.1/").host == "127.0.0.1"
from spyne.protocol.soap import soap11
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    assert soap11.cgi.parse_header("text/xml; charset=utf-8") == ("text/xml", {"charset": "utf-8"})
    try:
        soap11.collapse_swa(None, "text/xml", None)
    except Exception as error:
        sys.stdout.write(type(error).__module__)
"""
    assert run(code, ROOT) != ""
