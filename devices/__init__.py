"""Devices as a whole, a city of them, and the command line: where everything is put together."""
