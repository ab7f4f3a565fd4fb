"""What can be wrong with a set-up, one thing at a time, each with what the doctor calls it."""

from collections.abc import Callable

from tests.entry.doctor.faults.fault import Config, Fault, direct
from tests.entry.doctor.faults.pathways import PATHWAYS
from tests.entry.doctor.faults.sharing import CREDENTIALS, SHARING
from tests.entry.doctor.faults.slack import SLACK
from tests.entry.doctor.faults.store import STORE


def only(*parts: str) -> Callable[[Config], None]:
    """A configuration of what a fault is about: the rest would be looked at for nothing."""

    def keep(config: Config) -> None:
        if "s3" not in parts:
            del config["s3"]
            return
        if "queue" not in parts:
            del config["s3"]["events"]
        if "scanner" not in parts:
            del config["s3"]["buckets"]["reports"]["scan"]

    return keep


FAULTS = [
    *((fault, only("s3")) for fault in SLACK),
    *((fault, only()) for fault in PATHWAYS),
    *((fault, only("s3")) for fault in CREDENTIALS),
    *((fault, only("s3", "queue", "scanner")) for fault in SHARING),
    *((fault, only()) for fault in STORE),
]

__all__ = ["FAULTS", "Fault", "direct"]
