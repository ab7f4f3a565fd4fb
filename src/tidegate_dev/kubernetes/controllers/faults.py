"""What goes wrong on request: bad images, crashing containers, services that are slow to start.

The part of an image's name that tells its version may ask for it (`web:2.5.0-crash`), and so may
a switch, for every container that starts while it is on.
"""

from collections.abc import Collection
from enum import Enum
from typing import Final

PULL: Final = "image_pull"
CRASH: Final = "crash_loop"
SLOW: Final = "slow_ready"
SWITCHES: Final = frozenset({PULL, CRASH, SLOW})


class Fate(Enum):
    """How a container fares."""

    WELL = "well"
    NO_IMAGE = PULL
    CRASHES = CRASH
    SLOW = SLOW


_TAGS: Final = (
    (Fate.NO_IMAGE, ("does-not-exist", "doesnotexist", "missing", "no-such")),
    (Fate.CRASHES, ("crash",)),
    (Fate.SLOW, ("slow",)),
)


class Faults:
    """Decides how each container fares.

    Args:
        known: The images that there are; None if every image is there but those whose tag says
            otherwise.

    Attributes:
        switches: Faults that are on for everything that starts; any of `SWITCHES`.
        images: What becomes of an image, whatever else holds.
    """

    def __init__(self, known: Collection[str] | None = None) -> None:
        self.known = None if known is None else frozenset(known)
        self.switches: set[str] = set()
        self.images: dict[str, Fate] = {}

    def fate(self, image: str) -> Fate:
        """Return how a container of *image* fares if it starts now."""
        if image in self.images:
            return self.images[image]
        if self.known is not None and image not in self.known:
            return Fate.NO_IMAGE
        for fate, words in _TAGS:
            if fate.value in self.switches or any(word in version(image) for word in words):
                return fate
        return Fate.WELL


def version(image: str) -> str:
    """Return the part of an image's name that tells its version: tag, digest or both."""
    name = image.rpartition("/")[2]
    cut = min((at for at in (name.find(":"), name.find("@")) if at >= 0), default=-1)
    return name[cut + 1 :] if cut >= 0 else "latest"
