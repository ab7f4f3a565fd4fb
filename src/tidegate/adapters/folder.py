"""Files that are made together in a folder: all of them or none, each whole or not at all."""

import contextlib
import errno
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

MODE: Final = 0o644  # for whoever reviews them; nothing in them is secret
_MAX_READ: Final = 1_048_576


class TakenError(Exception):
    """Files are there already, and say something else.

    Attributes:
        names: Which.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(f"{len(names)} file(s) are there already")
        self.names = names


def taken(folder: Path, files: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of those files that are there and say something else."""
    return tuple(name for name, text in files.items() if _differs(folder / name, text))


def write(folder: Path, files: Mapping[str, str], *, force: bool) -> None:
    """Make the files, and the folders that they are in.

    Each appears whole, under its name, only after all of them are on the disk. What is there
    already and says the same is left alone.

    Args:
        folder: Where.
        files: Their texts, by their paths below the folder.
        force: Replace what is there.

    Raises:
        TakenError: Without *force*, something else is there; nothing was written.
        OSError: A file cannot be written; what was there before is there still.
    """
    if not force and (names := taken(folder, files)):
        raise TakenError(names)
    made: list[Path] = []
    staged: list[tuple[Path, Path]] = []
    try:
        for name, text in files.items():
            target = folder / name
            if not _differs(target, text) and target.is_file():
                continue
            _folder(target.parent, below=folder)
            staged.append((_staged(target, text), target))
        for source, target in staged:
            if force:
                source.replace(target)
                continue
            os.link(source, target)  # unlike a rename, it fails where something is by now
            made.append(target)
    except OSError as error:
        for target in made:
            target.unlink(missing_ok=True)
        if isinstance(error, FileExistsError) and not force:
            raise TakenError(taken(folder, files)) from None
        raise
    finally:
        for source, _ in staged:
            with contextlib.suppress(OSError):
                source.unlink(missing_ok=True)


def _folder(wanted: Path, *, below: Path) -> None:
    """Make a folder, if it is not there; a link that leads out of *below* is not followed."""
    wanted.mkdir(parents=True, exist_ok=True)
    if not wanted.resolve().is_relative_to(below.resolve()):
        raise OSError(errno.ELOOP, "a link leads elsewhere", str(wanted))


def _staged(target: Path, text: str) -> Path:
    """Return a file beside *target* with that text, safe on the disk."""
    source = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
    descriptor = os.open(source, flags, MODE)
    try:
        with open(descriptor, "wb") as stream:  # noqa: PTH123 - of a descriptor
            stream.write(text.encode())
            stream.flush()
            os.fsync(descriptor)
    except OSError:
        source.unlink(missing_ok=True)
        raise
    return source


def _differs(target: Path, text: str) -> bool:
    """Tell whether something is there that is not a file with that text."""
    if not target.is_symlink() and not target.exists():
        return False
    if not target.is_file():
        return True  # a pipe would be waited for
    try:
        with target.open("rb") as stream:
            return stream.read(_MAX_READ) != text.encode()
    except OSError:
        return True
