"""The services that this project brings, and their contracts as files."""

from __future__ import annotations

from gossip_ws.kernel.names import BALANCE, METERING, PEERS, REPORT, ROUTING, TARIFF
from gossip_ws.services.contract import contract
from gossip_ws.services.interface import PLACEHOLDER


def builtin_wsdl() -> dict[str, bytes]:
    """File name -> WSDL at a placeholder address: what `gossip_ws.wsdl` carries as package data."""
    # Here: a meter that neither routes energy nor balances should not hold what does.
    from gossip_ws.services.balancing import BalanceService
    from gossip_ws.services.metering import MeteringService
    from gossip_ws.services.peering import PeerService
    from gossip_ws.services.reporting import ReportService
    from gossip_ws.services.routing import RoutingService
    from gossip_ws.services.tariff import TariffService

    return {
        "balance.wsdl": contract(BalanceService, BALANCE).wsdl(PLACEHOLDER),
        "tariff.wsdl": contract(TariffService, TARIFF).wsdl(PLACEHOLDER),
        "metering.wsdl": contract(MeteringService, METERING).wsdl(PLACEHOLDER),
        "peering.wsdl": contract(PeerService, PEERS).wsdl(PLACEHOLDER),
        "report.wsdl": contract(ReportService, REPORT).wsdl(PLACEHOLDER),
        "routing.wsdl": contract(RoutingService, ROUTING).wsdl(PLACEHOLDER),
    }
