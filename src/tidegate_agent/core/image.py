"""References to images: what they name, what a short one means, and which may run here.

A reference is `[registry[:port]/]path[:tag][@digest]`.
https://github.com/distribution/reference/blob/main/reference.go

What people type is short. It is completed from the image that the container has now, and never
from a default registry:

- `2.4.1`, `:2.4.1`, `@sha256:…` — a version alone: the same repository. A bare word of letters
  only (`stable`) reads as a name; with a colon before it (`:stable`) it is a tag.
- `web:2.4.1` — the repository's own last name, or its whole path without the registry: the same
  repository.
- `other:2.4.1` — some other name without a registry: refused, since nobody can know where that is.
- `registry.example.com/team/other:2.4.1` — names its registry: taken as it stands.

A reference without a version is refused: `latest` is not something to deploy by accident. It can
be said.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidegate_agent.errors import InputError, NotAllowedError

ANY: Final = "*"
_HUB: Final = "docker.io"

_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST: Final = (
    r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
    r"(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*(?::[0-9]{1,5})?"
)
_PATH: Final = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_REGISTRY: Final = re.compile(_HOST)
_TAG: Final = re.compile(r"[\w][\w.-]{0,127}", re.ASCII)
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_MAX_PATH: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A reference, whole.

    Attributes:
        registry: Host and port, or empty where the reference names none.
        path: The repository in it.
    """

    registry: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> str:
        """Return registry and path."""
        return f"{self.registry}/{self.path}" if self.registry else self.path

    @property
    def version(self) -> str:
        """Return what tells it from others of its repository, as people are told."""
        return self.tag or self.digest[: len("sha256:") + 12] or "latest"

    @property
    def reference(self) -> str:
        """Return the reference as a pod's spec has it."""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}{tag}{digest}"


def parse(text: str) -> Image | None:
    """Return the image that a whole reference names, or None if it is not one."""
    rest, _, digest = text.partition("@")
    if "@" in text and not _DIGEST.fullmatch(digest):
        return None
    head, _, last = rest.rpartition("/")
    name, colon, tag = last.partition(":")
    if colon and not _TAG.fullmatch(tag):
        return None
    registry, path = _split(f"{head}/{name}" if head else name)
    if len(path) > _MAX_PATH or not _PATH.fullmatch(path):
        return None
    if registry and not _REGISTRY.fullmatch(registry):
        return None
    return Image(registry=registry, path=path, tag=tag, digest=digest)


def resolve(text: str, *, now: str) -> Image:
    """Return the image that *text* means for a container that has the image *now*.

    Raises:
        InputError: It is no reference, has no version, or nobody can know which registry is meant.
    """
    have = parse(now)
    version = None if have is None else _version_alone(text, have)
    if version is not None and have is not None:
        return Image(registry=have.registry, path=have.path, tag=version.tag, digest=version.digest)
    asked = parse(text)
    if asked is None:
        raise InputError(
            "`image` is not a reference to an image, such as web:2.4.1.", field="image"
        )
    if not asked.tag and not asked.digest:
        raise InputError(
            "`image` says no version: add a tag, such as web:2.4.1, or a digest.", field="image"
        )
    if asked.registry:
        return asked
    if have is not None and (asked.path == have.path or have.path.endswith(f"/{asked.path}")):
        return Image(registry=have.registry, path=have.path, tag=asked.tag, digest=asked.digest)
    raise InputError(
        f"The container runs {have.path if have else 'another image'}. To give it another image, "
        "write it with its registry, such as registry.example.com/team/web:2.4.1.",
        field="image",
    )


def check(image: Image, *, now: str, registries: Sequence[str], digest_required: bool) -> None:
    """Return if an image may be deployed.

    Args:
        image: Whole.
        now: The image that the container has.
        registries: Where images may come from: registries (`registry.example.com`) and parts of
            them (`registry.example.com/team`); `*` for anywhere. Where there are none, only from
            the repository that the container's image is from.
        digest_required: Whether a tag, which can be moved, is not enough.

    Raises:
        NotAllowedError: It comes from elsewhere.
        InputError: It lacks a digest.
    """
    have = parse(now)
    allowed = registries or ((_whole(have),) if have is not None else ())
    place = _whole(image)
    if place not in allowed and not any(
        each == ANY or place.startswith(f"{each}/") for each in registries
    ):
        raise NotAllowedError(
            f"Images from {image.repository} may not be deployed here; from {_or(allowed)} they "
            "may.",
            field="image",
        )
    if digest_required and not image.digest:
        raise InputError("`image` needs a digest here: …@sha256:….", field="image")


def _split(name: str) -> tuple[str, str]:
    """Return registry and path: a first part is a registry if it looks like a host."""
    first, slash, rest = name.partition("/")
    if slash and (set(first) & set(".:") or first == "localhost" or first != first.lower()):
        return first, rest
    return "", name


def _version_alone(text: str, have: Image) -> Image | None:
    """Return the version that *text* is, if it is nothing else."""
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        return None
    tag = rest.removeprefix(":")
    if tag and not _TAG.fullmatch(tag):
        return None
    if rest and not rest.startswith(":") and (at or _is_name(tag, have)):
        return None
    if not tag and not digest:
        return None
    return Image(registry="", path="", tag=tag, digest=digest)


def _is_name(word: str, have: Image) -> bool:
    """Return whether a bare word reads as a name: `web`, or what the repository is called."""
    return word == have.path.rpartition("/")[2] or word.isalpha()


def _whole(image: Image) -> str:
    """Return the repository with the registry that a runtime takes where none is named."""
    if image.registry:
        return image.repository
    path = image.path if "/" in image.path else f"library/{image.path}"
    return f"{_HUB}/{path}"


def _or(names: Sequence[str]) -> str:
    return " or ".join(names) if names else "nowhere"
