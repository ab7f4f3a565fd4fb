"""Slack's bad days, switched on and off."""

from dataclasses import dataclass, field
from typing import Literal

Once = Literal["drop_before", "drop_after", "error_before", "error_after"]


@dataclass(slots=True, kw_only=True)
class SlackFaults:
    """What goes wrong at the moment; as made, nothing does.

    *rate_limited* and *hanging* last until they are set back; they hit the methods
    whose name begins with *methods*. What `once` arranges happens to the next calls.
    """

    rate_limited: bool = False
    retry_after_seconds: int = 3
    hanging: bool = False
    response_urls_fail: bool = False
    methods: str = "chat."
    _once: list[tuple[str, Once]] = field(default_factory=list)

    def limits(self, method: str) -> bool:
        """Whether a call of *method* is answered 429 now."""
        return self.rate_limited and method.startswith(self.methods)

    def hangs(self, method: str) -> bool:
        """Whether a call of *method* is accepted and not answered now."""
        return self.hanging and method.startswith(self.methods)

    def once(self, method: str, what: Once, *, times: int = 1) -> None:
        """The next *times* calls of *method* go wrong.

        `drop_*` cuts the connection, `error_*` answers 500 without JSON; `*_before` does
        so with nothing done, `*_after` when the call has taken effect.
        """
        self._once.extend([(method, what)] * times)

    def next_for(self, method: str) -> Once | None:
        """Return what the call of *method* that came just now has to suffer, and forget it."""
        for index, (name, what) in enumerate(self._once):
            if name == method:
                del self._once[index]
                return what
        return None

    def calm(self) -> None:
        """Nothing goes wrong any more."""
        self.rate_limited = self.hanging = self.response_urls_fail = False
        self._once.clear()
