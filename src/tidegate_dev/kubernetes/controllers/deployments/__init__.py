"""Deployments: rollouts from one ReplicaSet to the next, and back.

https://kubernetes.io/docs/concepts/workloads/controllers/deployment/
"""
