"""Stylesheets as combiners: makes the document that a stylesheet sees, and judges what it made of it.

A stylesheet sees `<g:Replies><g:Reply contributors="n">…element…</g:Reply>…</g:Replies>` and makes one
element. Own replies are the service's response elements; whether partials look alike is its `g:forms`.
It runs in the worker and nowhere else: its result is read back as untrusted.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from gossip_ws.filters.checker import Forms, Stylesheet
from gossip_ws.filters.elements import canonical, read
from gossip_ws.filters.runner import MAX_OUTPUT, Failure, Job, Passes, Result, Runner, Trouble
from gossip_ws.kernel.contract import Shape
from gossip_ws.kernel.errors import Fault, receiver_fault, sender_fault
from gossip_ws.kernel.names import GOSSIP
from gossip_ws.ports import Combination, Input

MAX_DOCUMENT: Final = 1_048_576
"""Octets of all replies together."""
_MAX_CONTRIBUTORS: Final = 2**40
_STRIKES: Final = 2
"""After so many workers lost to it, a stylesheet is not run again: the first may have been the machine's fault."""
_REMEMBERED: Final = 64

Done = Callable[[Combination | Fault], None]


class XsltCombiner:
    """Runs checked stylesheets with a runner. Remembers the last 64 that cost it a worker."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._strikes: OrderedDict[bytes, int] = OrderedDict()

    def combine(
        self, stylesheet: Stylesheet, shape: Shape | None, inputs: tuple[Input, ...], final: bool, done: Done
    ) -> None:
        """`done` gets a Fault: Sender `FilterFailed` when the stylesheet fails, hangs, makes no single element
        or not the operation's response; Receiver `Busy`; Receiver `TooLarge` for more than 1 MiB of replies."""
        digest = sha256(stylesheet.source).digest()
        if self._strikes.get(digest, 0) >= _STRIKES:
            done(_failed("this filter ended its worker before"))
            return
        document, refused = _document(stylesheet.forms, shape, inputs)
        if len(document) > MAX_DOCUMENT:
            done(receiver_fault("TooLarge", f"{len(document)} octets of replies to filter").fault)
            return
        same = stylesheet.forms is Forms.SAME
        wanted = shape.response if shape is not None and (same or final) else None
        job = Job(
            stylesheet.source,
            document,
            Passes.ONE if same else Passes.FINAL if final else Passes.PARTIAL,
            sum(value.contributors for index, value in enumerate(inputs) if index not in refused),
        )
        self._runner.submit(job, lambda result: done(self._judge(digest, result, wanted, refused)))

    def _judge(
        self, digest: bytes, result: Result, wanted: str | None, refused: tuple[int, ...]
    ) -> Combination | Fault:
        if isinstance(result, Failure):
            if result.trouble is Trouble.BUSY:
                return receiver_fault("Busy", result.reason).fault
            if result.trouble in {Trouble.SLOW, Trouble.DIED}:
                self._strike(digest)
            return _failed(result.reason)
        try:
            root = read(result, MAX_OUTPUT)
        except ValueError as error:
            return _failed(f"the filter's result: {error}")
        if wanted is not None and root.tag != wanted:
            return _failed(f"the filter makes {root.tag}, not the operation's response {wanted}")
        return Combination(canonical(root), refused)

    def _strike(self, digest: bytes) -> None:
        self._strikes[digest] = self._strikes.pop(digest, 0) + 1
        if len(self._strikes) > _REMEMBERED:
            self._strikes.popitem(last=False)


def _document(forms: Forms, shape: Shape | None, inputs: tuple[Input, ...]) -> tuple[bytes, tuple[int, ...]]:
    parts = [f'<g:Replies xmlns:g="{GOSSIP}">'.encode()]
    refused: list[int] = []
    for index, value in enumerate(inputs):
        try:
            # Written anew: what is well-formed only together with what stands around it must not get in.
            root = read(value.value, MAX_OUTPUT)
            if not 1 <= value.contributors < _MAX_CONTRIBUTORS:
                raise ValueError("a value from nobody")
            if shape is not None and (value.own or forms is Forms.SAME) and root.tag != shape.response:
                raise ValueError(f"not the operation's response: {root.tag}")
        except ValueError:
            refused.append(index)
            continue
        parts += (f'<g:Reply contributors="{value.contributors}">'.encode(), canonical(root), b"</g:Reply>")
    parts.append(b"</g:Replies>")
    return b"".join(parts), tuple(refused)


def _failed(reason: str) -> Fault:
    return sender_fault("FilterFailed", reason).fault
