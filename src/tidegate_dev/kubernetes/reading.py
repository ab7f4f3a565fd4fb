"""Objects, one or many, as they are.

https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
"""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from tidegate_dev.kubernetes.calls import Call
from tidegate_dev.kubernetes.errors import NotFoundError, StatusError, bad_request
from tidegate_dev.kubernetes.media import Presenter, form_of
from tidegate_dev.kubernetes.store import Store
from tidegate_dev.kubernetes.tables import Include

_INCLUDES: Final[Mapping[str, Include]] = {
    "None": "None",
    "Metadata": "Metadata",
    "Object": "Object",
}


class Reader:
    """Answers get and list.

    Args:
        now: Seconds since the Unix epoch.
    """

    def __init__(self, store: Store, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now

    def get(self, call: Call) -> dict[str, Any]:
        """Return the object that the call names.

        Raises:
            NotFoundError: There is none.
        """
        return self.presenter(call).one(self.found(call))

    def found(self, call: Call) -> dict[str, Any]:
        """Return the object that the call names, as it is kept.

        Raises:
            NotFoundError: There is none.
        """
        found = self._store.get(call.resource, call.namespace, call.wanted.name)
        if found is None:
            raise NotFoundError(call.resource, call.wanted.name)
        return found

    def list(self, call: Call) -> dict[str, Any]:
        """Return the objects that the call selects, or as many as it wants at a time.

        Raises:
            StatusError: A parameter cannot be understood, or the list was begun too long ago.
        """
        objects, version = self._store.list(call.resource, call.namespace)
        selects = call.selection()
        chosen = [obj for obj in objects if selects(obj)]
        begun, after = self._place(call, version)
        chosen = [obj for obj in chosen if _key(obj) > after]
        metadata: dict[str, Any] = {"resourceVersion": begun}
        limit = call.number("limit")
        if limit and len(chosen) > limit:
            metadata["continue"] = _token(begun, _key(chosen[limit - 1]))
            if not call.params.get("labelSelector") and not call.params.get("fieldSelector"):
                metadata["remainingItemCount"] = len(chosen) - limit
            chosen = chosen[:limit]
        return self.presenter(call).many(chosen, metadata)

    def presenter(self, call: Call) -> Presenter:
        """Return what puts the answer into the form that the call asks for.

        Raises:
            StatusError: There is no such form.
        """
        asked = call.params.get("includeObject") or "Metadata"
        include = _INCLUDES.get(asked)
        if include is None:
            raise bad_request(f'unrecognized includeObject value: "{asked[:40]}"')
        return Presenter(
            resource=call.resource,
            form=form_of(call.headers.get("accept", "")),
            now=self._now(),
            include=include,
        )

    def _place(self, call: Call, version: str) -> tuple[str, tuple[str, str]]:
        """Return the version of the list that is being read, and after what it goes on."""
        token = call.params.get("continue", "")
        if not token:
            return version, ("", "")
        try:
            begun, namespace, name = json.loads(base64.urlsafe_b64decode(token))
            self._store.watch((), since=str(begun))
        except StatusError:
            message = (
                "The provided continue parameter is too old to display a consistent list result. "
                "You must start a new list without the continue parameter."
            )
            raise StatusError(410, "Expired", message) from None
        except (ValueError, TypeError):
            raise bad_request("continue key is not valid") from None
        return str(begun), (str(namespace), str(name))


def _key(obj: dict[str, Any]) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _token(version: str, key: tuple[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps([version, *key]).encode()).decode()
