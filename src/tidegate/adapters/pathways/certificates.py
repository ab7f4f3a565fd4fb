"""TLS of a pathway: whom to trust and what to show, read anew when a file changes.

Certificates live for days or hours where a controller renews them, and a gateway runs for weeks.
"""

import asyncio
import ssl
from pathlib import Path
from typing import Final

from tidegate.errors import CertificateError
from tidegate.ports import Journal

LOOK_SECONDS: Final = 1.0  # between looks at the files
_Mark = tuple[int, int, int] | None


class Certificates:
    """The TLS context of a pathway, always made of what the files hold.

    Args:
        ca_file: PEM file of the authority to trust; the system's if None.
        client_cert: PEM file with the certificate to show.
        client_key: PEM file with its key, if that is not in the same file.
        journal: Where it is noted that changed files could not be read.
    """

    def __init__(
        self,
        *,
        ca_file: str | None = None,
        client_cert: str | None = None,
        client_key: str | None = None,
        journal: Journal | None = None,
    ) -> None:
        self._ca_file = ca_file
        self._client_cert = client_cert
        self._client_key = client_key
        self._journal = journal
        self._files = [Path(one) for one in (ca_file, client_cert, client_key) if one]
        self._context: ssl.SSLContext | None = None
        self._marks: tuple[_Mark, ...] = ()
        self._looked = -LOOK_SECONDS
        self._lock = asyncio.Lock()

    async def current(self) -> ssl.SSLContext:
        """Return the context to connect with.

        While changed files cannot be read (they may be half written), the last good ones stay in
        use: the other end decides for how long.

        Raises:
            CertificateError: They cannot be read, and never could be.
        """
        context = self._context
        if context is not None and not self._due():
            return context
        async with self._lock:
            if self._context is not None and not self._due():
                return self._context
            self._looked = asyncio.get_running_loop().time()
            return await self._read()

    def _due(self) -> bool:
        if not self._files:
            return False
        return asyncio.get_running_loop().time() - self._looked >= LOOK_SECONDS

    async def _read(self) -> ssl.SSLContext:
        marks = await asyncio.to_thread(self._look)
        if self._context is not None and marks == self._marks:
            return self._context
        try:
            # Reading the system's authorities alone takes a hundredth of a second.
            made = await asyncio.to_thread(self._make)
        except (OSError, ValueError) as error:
            kind = type(error).__name__
            if self._context is None:
                raise CertificateError(f"certificates could not be read ({kind})") from error
            if self._journal is not None:
                self._journal.note("certificates_not_read", level="warning", reason=kind)
            return self._context
        # Marked as they were before the reading: what changed during it is seen at the next look.
        self._context, self._marks = made, marks
        return made

    def _look(self) -> tuple[_Mark, ...]:
        return tuple(_mark(file) for file in self._files)

    def _make(self) -> ssl.SSLContext:
        if not all(file.is_file() for file in self._files):
            raise OSError("not a file")  # OpenSSL would wait for a pipe, and hold a thread
        context = ssl.create_default_context(cafile=self._ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # What a subject calls itself is no name that an authority vouches for.
        # Source: https://www.rfc-editor.org/rfc/rfc9525#section-2
        context.hostname_checks_common_name = False
        if self._client_cert is not None:
            # Without a passphrase: OpenSSL would ask for one at the terminal.
            context.load_cert_chain(self._client_cert, self._client_key, password=_no_passphrase)
        return context


def _mark(file: Path) -> _Mark:
    """Return what changes with a file's content, links followed as Kubernetes moves them."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase")
