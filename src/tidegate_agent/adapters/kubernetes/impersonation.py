"""As whom a request is made, in the headers that say so.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation

The API server takes any name that the agent's own rights let it take on. These headers are the
last place where a name of the system's own, or one that would forge another header, is stopped.
"""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

from tidegate_agent.core.access import Impersonation
from tidegate_agent.errors import NotAllowedError

SYSTEM: Final = "system:"
MAX_VALUES: Final = 200
_VALUE: Final = re.compile(r"[!-~](?:[ -~]{0,510}[!-~])?")  # no space at either end: it is lost
# What a header's name may hold beside letters, digits and `_.-~`, which quote() keeps.
# https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2
_LABEL_SAFE: Final = "!#$&'*+^`|"


def headers_of(who: Impersonation) -> list[tuple[str, str]]:
    """Return the headers; a name that comes several times stands once for each value.

    Raises:
        NotAllowedError: It is a name of the system's, or one that no header can carry.
    """
    headers = [("Impersonate-User", _name(who.user))]
    headers += [("Impersonate-Group", _name(group)) for group in who.groups]
    headers += _extra(who)
    if len(headers) > MAX_VALUES:
        raise NotAllowedError("The person is in too many groups to be carried to the cluster.")
    return headers


def _extra(who: Impersonation) -> Iterator[tuple[str, str]]:
    for key, values in who.extra.items():
        if not key or len(key) > 253:
            raise NotAllowedError("What is known of the person cannot be carried to the cluster.")
        # The server decodes the key, and then makes it lower case.
        label = quote(key.lower(), safe=_LABEL_SAFE)
        for value in values:
            yield f"Impersonate-Extra-{label}", _value(value)


def _name(text: str) -> str:
    if text.strip().lower().startswith(SYSTEM):
        raise NotAllowedError("A name of the cluster's own is never taken on.")
    return _value(text)


def _value(text: str) -> str:
    if not _VALUE.fullmatch(text):
        raise NotAllowedError("A name of the person or a group cannot be carried to the cluster.")
    return text
