"""The Combiner of a device: named aggregates and single replies here, stylesheets by a runner where it is given one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256

from gossip_ws.filters.checker import Stylesheet, check_stylesheet
from gossip_ws.filters.estimates import ESTIMATE, Estimator
from gossip_ws.filters.named import Named
from gossip_ws.filters.report import REPORT_FILTER, Reports
from gossip_ws.filters.runner import Runner
from gossip_ws.filters.singles import Singles
from gossip_ws.filters.xslt import XsltCombiner
from gossip_ws.kernel.contract import Shape
from gossip_ws.kernel.errors import Fault, RemoteError, sender_fault
from gossip_ws.kernel.terms import Filter, Gathering
from gossip_ws.ports import Combination, Input


class FilterCombiner:
    """Implements `ports.Combiner`.

    Without a `runner`, stylesheets are refused. One runner may serve all devices of a process. The verdicts
    on the last `remembered` stylesheets, good or bad, are kept by digest.
    """

    def __init__(self, runner: Runner | None = None, *, remembered: int = 64) -> None:
        self._xslt = None if runner is None else XsltCombiner(runner)
        self._remembered = remembered
        self._verdicts: OrderedDict[bytes, Stylesheet | RemoteError] = OrderedDict()

    def check(self, filter: Filter, shape: Shape | None, gathering: Gathering = Gathering.TREE) -> None:
        """At the origin and on receipt. Raises RemoteError with the subcode `FilterNotAllowed` or `FilterTooLarge`."""
        self._fit(filter, shape, gathering)

    def combine(
        self,
        filter: Filter,
        shape: Shape | None,
        inputs: tuple[Input, ...],
        final: bool,
        done: Callable[[Combination | Fault], None],
        gathering: Gathering = Gathering.TREE,
    ) -> None:
        """Named aggregates are done before this returns; a stylesheet when its runner says so."""
        try:
            fitted = self._fit(filter, shape, gathering)
        except RemoteError as error:
            done(error.fault)
            return
        if isinstance(fitted, Named | Singles | Reports | Estimator):
            done(fitted.combine(inputs, final))
        elif self._xslt is not None:
            self._xslt.combine(fitted, shape, inputs, final, done)

    def _fit(
        self, filter: Filter, shape: Shape | None, gathering: Gathering
    ) -> Named | Singles | Reports | Estimator | Stylesheet:
        if bool(filter.name) == bool(filter.stylesheet):
            raise sender_fault("FilterNotAllowed", "a filter is either a named aggregate or a stylesheet")
        if filter.name == REPORT_FILTER and gathering is Gathering.TREE:
            return Reports.fit(filter, shape)
        if filter.is_all and gathering is Gathering.TREE:
            return Singles.fit(filter, shape)
        if filter.name == ESTIMATE:
            return Estimator.fit(filter, shape, gathering)
        if filter.name:
            return Named.fit(filter, shape, gathering)
        if gathering is Gathering.SPREAD:
            raise sender_fault("FilterNotAllowed", "nobody can tell whether a stylesheet may take a value in twice")
        if filter.group_by:
            raise sender_fault("FilterNotAllowed", "a stylesheet groups by itself")
        if self._xslt is None:
            raise sender_fault("FilterNotAllowed", "this device runs no stylesheets")
        verdict = self._verdict(filter.stylesheet)
        if isinstance(verdict, RemoteError):
            raise RemoteError(verdict.fault)
        return verdict

    def _verdict(self, text: str) -> Stylesheet | RemoteError:
        digest = sha256(text.encode(errors="surrogatepass")).digest()
        verdict = self._verdicts.pop(digest, None)
        if verdict is None:
            try:
                verdict = check_stylesheet(text)
            except RemoteError as error:
                verdict = RemoteError(error.fault)
        self._verdicts[digest] = verdict
        if len(self._verdicts) > self._remembered:
            self._verdicts.popitem(last=False)
        return verdict
