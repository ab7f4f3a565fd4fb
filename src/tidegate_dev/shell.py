"""`s3-to-slack` for the person's own shell, with the workspace's configuration and keys.

A script rather than variables to export: it works as typed in any shell, leaves nothing behind
in it, and takes none of the machine's own AWS keys along. It lies in the workspace's private
folder and goes with it; what it holds opens this workspace and nothing else.
"""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

NAME: Final = "s3-to-slack"
# What AWS's own variables could add to the keys that are given.
_UNSET: Final = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SECURITY_TOKEN")
_FROM_THE_SHELL: Final = frozenset({"HOME", "LANG", "PATH", "TZ", "TMPDIR"})


def write(folder: Path, *, config: Path, environment: Mapping[str, str]) -> Path:
    """Return the script in *folder*; only its owner can read or run it.

    Args:
        folder: The workspace's private folder.
        config: The gateway's configuration.
        environment: The gateway's environment.
    """
    given = {name: value for name, value in environment.items() if name not in _FROM_THE_SHELL}
    given["TIDEGATE_CONFIG"] = str(config)
    lines = [
        "#!/bin/sh",
        "# s3-to-slack, into the dev workspace: made for it, and of no use without it.",
        f"unset {' '.join(_UNSET)}",
        *(f"export {name}={shlex.quote(value)}" for name, value in sorted(given.items())),
        f'exec {shlex.quote(sys.executable)} -m tidegate share "$@"',
    ]
    path = folder / NAME
    path.touch(mode=0o700)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def gallery_line(script: Path, *, bucket: str, prefix: str, channel: str) -> str:
    """Return the line that shares all images below *prefix*, as it is typed."""
    words = (str(script), bucket, prefix, channel, "--mode", "gallery")
    return " ".join(map(shlex.quote, words))
