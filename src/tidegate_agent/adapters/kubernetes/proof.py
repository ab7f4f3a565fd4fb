"""How a request to the API server proves who sends it: what its Authorization header says.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/
"""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from typing_extensions import override

_MAX_TOKEN_BYTES: Final = 65_536


class CredentialsError(Exception):
    """Credentials for the API server could not be had; the message says which and why."""


class Proof(Protocol):
    """Something to show with every request."""

    async def header(self) -> str | None:
        """Return the Authorization header; None, if there is to be none.

        Raises:
            CredentialsError: It cannot be had now.
        """
        ...

    def refused(self) -> bool:
        """Forget what the API server did not take; return whether asking anew may help."""
        ...


class NoProof(Proof):
    """Nothing is shown: a client certificate says it all, or the API server asks for nothing."""

    @override
    async def header(self) -> str | None:
        return None

    @override
    def refused(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class FixedProof(Proof):
    """The same header for ever."""

    value: str

    @override
    async def header(self) -> str | None:
        return self.value

    @override
    def refused(self) -> bool:
        return False

    @override
    def __repr__(self) -> str:
        return "FixedProof(…)"


@dataclass(frozen=True, slots=True)
class TokenFile(Proof):
    """A token that somebody else keeps fresh in a file; read for every request.

    The kubelet writes a projected token anew when 80 % of its life is over.
    https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#serviceaccount-token-volume-projection
    """

    path: Path

    @override
    async def header(self) -> str | None:
        return bearer(self._read())

    @override
    def refused(self) -> bool:
        return True  # it may have been written anew between the reading and the answer

    def _read(self) -> str:
        try:
            with self.path.open("rb") as file:
                return file.read(_MAX_TOKEN_BYTES).decode()
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text"
            raise CredentialsError(f"the token file {self.path} cannot be read: {why}") from error


def bearer(token: str) -> str:
    """Return the header that shows *token*.

    Raises:
        CredentialsError: It is empty, or cannot stand in a header.
    """
    text = token.strip()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise CredentialsError("the token is empty, or holds what no token can hold")
    return f"Bearer {text}"


def basic(user: str, password: str) -> str:
    """Return the header that shows a user's name and password."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
