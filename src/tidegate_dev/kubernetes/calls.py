"""One request to the API that is let in, with what was found out about it."""

import json
from dataclasses import dataclass
from typing import Any, Final

from starlette.datastructures import Headers, QueryParams

from tidegate_dev.kubernetes import protobuf
from tidegate_dev.kubernetes.errors import StatusError, bad_request
from tidegate_dev.kubernetes.requests import Attributes
from tidegate_dev.kubernetes.resources import Resource
from tidegate_dev.kubernetes.selectors import Test, field_test, label_test
from tidegate_dev.kubernetes.users import User

_FIELD_VALIDATIONS: Final = ("", "Ignore", "Warn", "Strict")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What is wanted, by whom, and what was sent."""

    user: User
    wanted: Attributes
    resource: Resource
    params: QueryParams
    headers: Headers
    body: bytes

    @property
    def namespace(self) -> str:
        """Return the namespace that the objects are in; empty for none, or for all."""
        return self.wanted.namespace if self.resource.namespaced else ""

    @property
    def is_dry_run(self) -> bool:
        """Return whether nothing is to be kept.

        Raises:
            StatusError: The parameter is neither `All` nor absent.
        """
        values = self.params.getlist("dryRun")
        if any(value != "All" for value in values):
            raise bad_request(f'dryRun: Unsupported value: {values}: supported values: "All"')
        return bool(values)

    @property
    def is_strict(self) -> bool:
        """Return whether an unknown field is a mistake.

        Raises:
            StatusError: The parameter is none of those that there are.
        """
        given = self.params.get("fieldValidation", "")
        if given not in _FIELD_VALIDATIONS:
            raise bad_request(f'fieldValidation: Unsupported value: "{given}"')
        return given == "Strict"

    @property
    def content_type(self) -> str:
        """Return what the body says it is, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def number(self, name: str) -> int | None:
        """Return a parameter that counts something.

        Raises:
            StatusError: It is no natural number.
        """
        text = self.params.get(name, "")
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise bad_request(f'strconv.ParseInt: parsing "{text[:40]}": invalid syntax')
        return int(text)

    def selection(self) -> Test:
        """Return what tells whether an object is meant.

        Raises:
            StatusError: A selector cannot be understood.
        """
        by_label = label_test(self.params.get("labelSelector", ""))
        by_field = field_test(self.resource, self.params.get("fieldSelector", ""))
        return lambda obj: by_label(obj) and by_field(obj)

    def document(self) -> Any:
        """Return the body, which is JSON.

        Raises:
            StatusError: It is not.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise bad_request("the object provided is unrecognized: it is not JSON") from None

    def object(self) -> dict[str, Any]:
        """Return the body, which is an object of the API.

        Raises:
            StatusError: It is in another format, or no object.
        """
        found = self._decoded()
        if not isinstance(found, dict) or not isinstance(found.get("metadata", {}), dict):
            raise bad_request("the object provided is unrecognized: it is not a JSON object")
        return found

    def _decoded(self) -> Any:
        if self.content_type == protobuf.MEDIA_TYPE:
            try:
                return protobuf.decoded(self.body)
            except protobuf.DecodeError as error:
                raise bad_request(f"the object provided is unrecognized: {error}") from None
        if self.content_type not in ("application/json", ""):
            raise unsupported("application/json", protobuf.MEDIA_TYPE)
        return self.document()


def unsupported(*accepted: str) -> StatusError:
    """Return the error of a body in a format that is not taken here."""
    return StatusError(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: "
        f"{', '.join(accepted)}",
    )
