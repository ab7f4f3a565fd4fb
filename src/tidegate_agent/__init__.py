"""The in-cluster agent: answers the Kubernetes actions of a gateway with least privilege."""
