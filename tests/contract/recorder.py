"""Records runs as fast as it can and prints each acknowledged id: to be killed under way.

Usage: python -m tests.contract.recorder NAME LOCATION
"""

import asyncio
import os
import sys
from pathlib import Path

from tests.contract.clock import StillClock
from tests.contract.drafts import a_draft, a_message
from tests.contract.stores import ALL
from tidegate.core.model import Recorded
from tidegate.ports import Store


async def record_for_ever(store: Store, clock: StillClock, number: int) -> None:
    count = 0
    while True:
        count += 1
        draft = a_draft(clock, view=a_message(f"{number}.{count}"), effect_key=os.urandom(8).hex())
        result = await store.record(draft, within=5)
        assert isinstance(result, Recorded)
        os.write(1, f"{result.run_id}\n".encode())


async def main(name: str, location: str) -> None:
    clock = StillClock()
    store = await ALL[name](Path(location).parent).open(clock)
    await asyncio.gather(*(record_for_ever(store, clock, number) for number in range(16)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
