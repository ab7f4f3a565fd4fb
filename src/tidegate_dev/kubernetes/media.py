"""In which form a client wants its answer, and the answer in that form.

https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from tidegate_dev.kubernetes.errors import StatusError
from tidegate_dev.kubernetes.resources import Resource
from tidegate_dev.kubernetes.tables import Include, partial, table

Form = Literal["plain", "table", "partial", "discovery"]

_JSON_RANGES: Final = ("application/json", "application/*", "*/*")
_FORMS: Final[Mapping[str, Form]] = {
    "Table": "table",
    "PartialObjectMetadata": "partial",
    "PartialObjectMetadataList": "partial",
    "APIGroupDiscoveryList": "discovery",
}
_VERSIONS: Final[Mapping[Form, tuple[str, str]]] = {
    "table": ("meta.k8s.io", "v1"),
    "partial": ("meta.k8s.io", "v1"),
    "discovery": ("apidiscovery.k8s.io", "v2"),
}
DISCOVERY_TYPE: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def form_of(accept: str) -> Form:
    """Return the first form of those that *accept* names that there is.

    Raises:
        StatusError: There is none; code 406.
    """
    for wanted in (accept or "*/*").split(","):
        form = _form(wanted)
        if form is not None:
            return form
    raise StatusError(
        406,
        "NotAcceptable",
        "only the following media types are accepted: application/json",
    )


def _form(wanted: str) -> Form | None:
    media_type, *rest = (part.strip() for part in wanted.split(";"))
    params = dict(part.partition("=")[::2] for part in rest)
    if media_type not in _JSON_RANGES or media_type == "application/json;stream=watch":
        return None
    if "as" not in params:
        return "plain"
    form = _FORMS.get(params["as"])
    if form is None or _VERSIONS[form] != (params.get("g"), params.get("v")):
        return None
    return form


@dataclass(frozen=True, slots=True, kw_only=True)
class Presenter:
    """Puts objects of one kind into the form that was asked for."""

    resource: Resource
    form: Form
    now: float
    include: Include = "Metadata"

    def one(self, obj: dict[str, Any], *, with_columns: bool = True) -> dict[str, Any]:
        """Return the answer that is one object."""
        if self.form == "table":
            version = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
            return self._table([obj], version, with_columns)
        return partial(obj) if self.form == "partial" else obj

    def many(
        self, objects: Sequence[dict[str, Any]], metadata: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the answer that is a list."""
        if self.form == "table":
            return self._table(objects, metadata, True)
        if self.form == "partial":
            kind, version = "PartialObjectMetadataList", "meta.k8s.io/v1"
            items = [partial(obj) for obj in objects]
        else:
            kind, version = f"{self.resource.kind}List", self.resource.api_version
            items = [_untyped(obj) for obj in objects]
        return {"kind": kind, "apiVersion": version, "metadata": dict(metadata), "items": items}

    def _table(
        self, objects: Sequence[dict[str, Any]], metadata: Mapping[str, Any], with_columns: bool
    ) -> dict[str, Any]:
        return table(
            self.resource,
            objects,
            metadata,
            now=self.now,
            include=self.include,
            with_columns=with_columns,
        )


def _untyped(obj: dict[str, Any]) -> dict[str, Any]:
    """Return the object as an item of a list, which itself says what its items are."""
    return {key: value for key, value in obj.items() if key not in ("kind", "apiVersion")}
