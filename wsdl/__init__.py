"""The project's contracts as package data: WSDL of its hosted services, example filters.

Generated from the services by `python -m gossip_ws.services DIRECTORY`; a test holds them to it. The
address in each is a placeholder: a running device serves its own.
"""

from importlib.resources import files


def read(name: str) -> bytes:
    """A contract by its file name, `tariff.wsdl` say. Raises FileNotFoundError."""
    return (files(__name__) / name).read_bytes()
