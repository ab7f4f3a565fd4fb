"""Patches, and how they are meant."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

#: A merge patch, or the operations of a JSON patch.
Patch = Mapping[str, Any] | Sequence[Mapping[str, Any]]


class PatchType(StrEnum):
    """How a patch is meant; the value is the media type.

    https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-apply
    """

    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
