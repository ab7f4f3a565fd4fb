"""Tokens of service accounts, made when somebody asks for one.

https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/
"""

from typing import Any, Final

from tidegate_dev.kubernetes.calls import Call
from tidegate_dev.kubernetes.errors import INVALID, Cause, InvalidError, NotFoundError
from tidegate_dev.kubernetes.resources import SERVICE_ACCOUNTS
from tidegate_dev.kubernetes.store import Store, timestamp
from tidegate_dev.kubernetes.users import API_AUDIENCE, Tokens, service_account

_DEFAULT_SECONDS: Final = 3_600
_LEAST_SECONDS: Final = 600


class TokenIssuer:
    """Answers create of the subresource `token`."""

    def __init__(self, store: Store, tokens: Tokens) -> None:
        self._store = store
        self._tokens = tokens

    def create(self, call: Call) -> dict[str, Any]:
        """Return the TokenRequest with a token that is good from now on.

        Raises:
            StatusError: There is no such account, or the token would not live long enough.
        """
        name = call.wanted.name
        account = self._store.get(SERVICE_ACCOUNTS, call.namespace, name)
        if account is None:
            raise NotFoundError(SERVICE_ACCOUNTS, name)
        spec = call.object().get("spec") or {}
        audiences = spec.get("audiences") or [API_AUDIENCE]
        seconds = spec.get("expirationSeconds") or _DEFAULT_SECONDS
        if not isinstance(seconds, int) or seconds < _LEAST_SECONDS:
            words = f"Invalid value: {seconds}: may not specify a duration less than 10 minutes"
            cause = Cause("spec.expirationSeconds", INVALID, words)
            raise InvalidError(SERVICE_ACCOUNTS, name, [cause])
        user = service_account(call.namespace, name, uid=account["metadata"]["uid"])
        text, expires = self._tokens.issue(user, audiences, seconds)
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": name, "namespace": call.namespace},
            "spec": {"audiences": audiences, "expirationSeconds": seconds},
            "status": {"token": text, "expirationTimestamp": timestamp(expires)},
        }
