"""The process's own limit: how many sockets it may hold."""

from __future__ import annotations

import resource


def raise_open_files() -> int:
    """Raise RLIMIT_NOFILE to its hard limit; returns it. 800 devices exceed the usual soft limit of 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
