"""Faults of a far end that are switched on and off by name."""

from collections.abc import Iterable


def switch_fault(faults: set[str], name: str, *, on: bool, known: Iterable[str]) -> None:
    """The fault *name* is among *faults*, or no longer.

    Raises:
        ValueError: None of the *known* faults has that name.
    """
    if name not in known:
        raise ValueError(f"no fault is called {name[:40]!r}; there are {', '.join(sorted(known))}")
    (faults.add if on else faults.discard)(name)
