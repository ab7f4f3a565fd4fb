"""ClamAV's own daemon, with one signature and limits of the test's choosing."""

import contextlib
import hashlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.far_ends.process import started
from tests.ports import free_port

ROOT: Final = Path(__file__).parents[2]
#: The test file of all scanners, in parts: else this one would be taken for it.
EICAR: Final = b"".join(
    (b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR", b"-STANDARD-ANTIVIRUS", b"-TEST-FILE!$H+H*")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """A clamd that answers.

    Attributes:
        unix: Its address as a socket in the file system, as the configuration writes it.
        tcp: Its address on loopback.
        process: To be killed by who wants to see what comes of that.
    """

    unix: str
    tcp: str
    process: subprocess.Popen[bytes]


@contextlib.contextmanager
def clamd(folder: Path, **settings: str) -> Iterator[Daemon]:
    """Run a clamd while the block does; *settings* are those of clamd.conf."""
    signatures = folder / "signatures"
    signatures.mkdir()
    _write_signatures(signatures)
    port, socket = free_port(), folder / "clamd.sock"
    configuration = {
        "AlertExceedsMax": "yes",  # without it nothing is trusted to it
        "DatabaseDirectory": str(signatures),
        "Foreground": "yes",
        "LocalSocket": str(socket),
        "TCPAddr": "127.0.0.1",
        "TCPSocket": str(port),
        "TemporaryDirectory": str(folder),
    }
    if os.geteuid() == 0:
        configuration["User"] = "root"  # else it becomes the user that its package was built for
    file = folder / "clamd.conf"
    file.write_text("".join(f"{k} {v}\n" for k, v in (configuration | settings).items()))
    # It says so last, when it listens.
    with started(
        _program(), "--config-file", file, ready="^Self checking", folder=folder
    ) as server:
        yield Daemon(unix=f"unix:{socket}", tcp=f"127.0.0.1:{port}", process=server.process)


def _program() -> str:
    found = subprocess.run(
        [ROOT / "scripts" / "clamd"], stdout=subprocess.PIPE, text=True, check=True
    )
    return found.stdout.strip()


def _write_signatures(folder: Path) -> None:
    """Have the daemon know one file, whole and by its beginning."""
    digest = hashlib.sha256(EICAR).hexdigest()
    (folder / "test.hsb").write_text(f"{digest}:{len(EICAR)}:Test.EICAR:73\n")
    (folder / "test.ndb").write_text(f"Test.EICAR.Start:0:0:{EICAR.hex()}\n")
