"""The Kubernetes API server: a client of our own, and where its credentials come from."""

from tidegate_agent.adapters.kubernetes.client import KubernetesClient
from tidegate_agent.adapters.kubernetes.credentials import Credentials, in_cluster, is_in_cluster
from tidegate_agent.adapters.kubernetes.kubeconfig import from_kubeconfig, kubeconfig_paths
from tidegate_agent.adapters.kubernetes.proof import CredentialsError

__all__ = [
    "Credentials",
    "CredentialsError",
    "KubernetesClient",
    "from_kubeconfig",
    "in_cluster",
    "is_in_cluster",
    "kubeconfig_paths",
]
