"""Stand in for API Gateway: an API with IAM on its routes and a private integration.

A real server. It verifies each signature with a check of its own, decides like IAM, keeps the
limits and answers in the words of API Gateway, and carries what passes to the private service.
HTTP APIs, regional REST APIs, and private REST APIs behind an interface endpoint.
"""

from tidegate_dev.edge.api import Edge, edge_app
from tidegate_dev.edge.config import EdgeConfig, Kind
from tidegate_dev.edge.doors import CustomDomain, InterfaceEndpoint
from tidegate_dev.edge.exchange import Exchange
from tidegate_dev.edge.faults import FAULTS
from tidegate_dev.edge.integration import BackendTls, VpcLink
from tidegate_dev.edge.permission import Permission
from tidegate_dev.edge.routes import Route
from tidegate_dev.edge.throttle import Throttle
from tidegate_dev.iam import Statement

__all__ = [
    "FAULTS",
    "BackendTls",
    "CustomDomain",
    "Edge",
    "EdgeConfig",
    "Exchange",
    "InterfaceEndpoint",
    "Kind",
    "Permission",
    "Route",
    "Statement",
    "Throttle",
    "VpcLink",
    "edge_app",
]
