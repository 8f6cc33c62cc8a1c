"""What may run beside what, when pytest-xdist spreads the tests over processes, as `make test` does.

A file stays together: it makes its town or its devices once, and some files are a story told in order. So does the
folder of outside peers: they bind the port of WS-Discovery at 127.0.0.1, and would get each other's answers. Files may
be at the same time: a town has ports that the system chooses, a discovery group is at a free port, or at the real one
with scopes of its own.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings

# An example may take as long as it takes: how busy a machine is says nothing of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

ALONE = ("tests/interop/",)
"""Folders whose files follow one another."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Instead of `--dist loadgroup`, whose marks do nothing with pytest 9.2 (xdist 3.8 writes an attribute that is no
    longer read)."""
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            folder = next((folder for folder in ALONE if nodeid.startswith(folder)), "")
            return folder or nodeid.partition("::")[0]

    return Together(config, log)
