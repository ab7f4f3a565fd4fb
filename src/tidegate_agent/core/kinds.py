"""The kinds of Kubernetes objects that the agent deals with, and nothing of their content.

https://kubernetes.io/docs/reference/kubernetes-api/
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of object, as much of it as its URL needs.

    Attributes:
        group: The API group; empty for the core group.
        plural: The resource name in URLs and RBAC, such as `deployments`.
        kind: The name in objects, such as `Deployment`.
        noun: What people are told: `deployment`, `stateful set`.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    noun: str = ""

    @property
    def api_version(self) -> str:
        """Return the group and version as objects state them."""
        return f"{self.group}/{self.version}" if self.group else self.version


DEPLOYMENT: Final = Kind(
    group="apps", version="v1", plural="deployments", kind="Deployment", noun="deployment"
)
STATEFUL_SET: Final = Kind(
    group="apps", version="v1", plural="statefulsets", kind="StatefulSet", noun="stateful set"
)
DAEMON_SET: Final = Kind(
    group="apps", version="v1", plural="daemonsets", kind="DaemonSet", noun="daemon set"
)
REPLICA_SET: Final = Kind(
    group="apps", version="v1", plural="replicasets", kind="ReplicaSet", noun="replica set"
)
CONTROLLER_REVISION: Final = Kind(
    group="apps",
    version="v1",
    plural="controllerrevisions",
    kind="ControllerRevision",
    noun="revision",
)
POD: Final = Kind(group="", version="v1", plural="pods", kind="Pod", noun="pod")
EVENT: Final = Kind(group="", version="v1", plural="events", kind="Event", noun="event")
CONFIG_MAP: Final = Kind(
    group="", version="v1", plural="configmaps", kind="ConfigMap", noun="config map"
)
HORIZONTAL_POD_AUTOSCALER: Final = Kind(
    group="autoscaling",
    version="v2",
    plural="horizontalpodautoscalers",
    kind="HorizontalPodAutoscaler",
    noun="autoscaler",
)

#: The kinds that a request can name, by the param that names one.
WORKLOADS: Final = {
    "deployment": DEPLOYMENT,
    "statefulset": STATEFUL_SET,
    "daemonset": DAEMON_SET,
}
