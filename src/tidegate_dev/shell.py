"""`s3-to-slack` and `tidegate` for the person's own shell, with the workspace's own settings.

Scripts rather than variables to export: they work as typed in any shell, leave nothing behind
in it, and take none of the machine's own AWS keys along. They lie in the workspace's private
folder and go with it; what they hold opens this workspace and nothing else.
"""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

NAME: Final = "s3-to-slack"
PROGRAM: Final = "tidegate"
# What AWS's own variables could add to the keys that are given.
_UNSET: Final = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SECURITY_TOKEN",
    "AWS_ENDPOINT_URL_STS",
)
_FROM_THE_SHELL: Final = frozenset({"HOME", "LANG", "PATH", "TZ", "TMPDIR"})


def write(folder: Path, *, config: Path, environment: Mapping[str, str]) -> Path:
    """Return the script `s3-to-slack` in *folder*; beside it is one for all of `tidegate`.

    Only their owner can read or run them.

    Args:
        folder: The workspace's private folder.
        config: The gateway's configuration.
        environment: The gateway's environment.
    """
    given = {name: value for name, value in environment.items() if name not in _FROM_THE_SHELL}
    given["TIDEGATE_CONFIG"] = str(config)
    _script(folder / PROGRAM, given, "")
    return _script(folder / NAME, given, " share")


def _script(path: Path, given: Mapping[str, str], command: str) -> Path:
    lines = [
        "#!/bin/sh",
        f"# {path.name}, for the dev workspace: made for it, and of no use without it.",
        f"unset {' '.join(_UNSET)}",
        *(f"export {name}={shlex.quote(value)}" for name, value in sorted(given.items())),
        f'exec {shlex.quote(sys.executable)} -m tidegate{command} "$@"',
    ]
    path.touch(mode=0o700)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def check_line(script: Path) -> str:
    """Return the line that looks at everything there is in the workspace, as it is typed.

    Args:
        script: As `write` returned it.
    """
    return f"{shlex.quote(str(script.with_name(PROGRAM)))} check --live"


def gallery_line(script: Path, *, bucket: str, prefix: str, channel: str) -> str:
    """Return the line that shares all images below *prefix*, as it is typed."""
    words = (str(script), bucket, prefix, channel, "--mode", "gallery")
    return " ".join(map(shlex.quote, words))
