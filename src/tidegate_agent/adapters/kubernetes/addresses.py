"""Where the API server keeps what, by kind.

https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode

from tidegate_agent.core.kinds import Kind
from tidegate_agent.errors import InputError

FIELD_MANAGER: Final = "tidegate"
PAGE_SIZE: Final = 250
ACCESS_REVIEWS: Final = Kind(
    group="authorization.k8s.io",
    version="v1",
    plural="subjectaccessreviews",
    kind="SubjectAccessReview",
    namespaced=False,
)
TOKEN_REVIEWS: Final = Kind(
    group="authentication.k8s.io",
    version="v1",
    plural="tokenreviews",
    kind="TokenReview",
    namespaced=False,
)


def address(
    kind: Kind,
    namespace: str | None,
    name: str | None = None,
    subresource: str | None = None,
    query: Mapping[str, str] | None = None,
) -> str:
    """Return the path and query of an object, of one of its subresources, or of a collection.

    Raises:
        InputError: A name is none that Kubernetes has: it would lead elsewhere.
    """
    steps = ["apis", kind.group, kind.version] if kind.group else ["api", kind.version]
    if namespace is not None and kind.namespaced:
        steps += ["namespaces", _segment(namespace)]
    steps.append(kind.plural)
    if name is not None:
        steps.append(_segment(name))
    if subresource is not None:
        steps.append(_segment(subresource))
    given = {key: value for key, value in (query or {}).items() if value}
    return f"/{'/'.join(steps)}" + (f"?{urlencode(given, quote_via=quote)}" if given else "")


def write_query(*, dry_run: bool) -> dict[str, str]:
    """Return the query of what changes something.

    https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run
    """
    return {"fieldManager": FIELD_MANAGER, "dryRun": "All" if dry_run else ""}


def _segment(text: str) -> str:
    """Return one step of a path, as RFC 3986 section 3.3 has it."""
    if not text or text in (".", "..") or len(text) > 253 or "/" in text or "%" in text:
        raise InputError(
            "A name may not be empty, longer than 253 characters, a step or hold / or %."
        )
    return quote(text, safe="")
