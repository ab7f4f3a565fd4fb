"""A Kubernetes API as a real server on loopback: for the dev workspace, and as a test double."""

from tidegate_dev.kubernetes.admissions import AdmissionRequest
from tidegate_dev.kubernetes.audit import AuditEntry
from tidegate_dev.kubernetes.far_end import KubernetesFarEnd
from tidegate_dev.kubernetes.users import API_AUDIENCE, User

__all__ = ["API_AUDIENCE", "AdmissionRequest", "AuditEntry", "KubernetesFarEnd", "User"]
