"""On how many examples a property is tried: on some in `make test`, on many in `make test-long`."""

import os
from typing import Final

THOROUGH: Final = os.environ.get("TESTS") == "long"


def examples(count: int) -> int:
    """Return *count* where there is time for that many, else a fraction of it."""
    return count if THOROUGH else max(10, count * 2 // 5)
