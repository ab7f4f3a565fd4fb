"""S3's bad days, switched on and off."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

Once = Literal["slow_down", "internal_error", "drop"]
BeforeGet = Callable[[str, str], Awaitable[None] | None]


@dataclass(slots=True, kw_only=True)
class S3Faults:
    """What goes wrong at the moment; as made, nothing does.

    What is switched on lasts until it is set back. What `once` arranges happens to the next
    requests.

    Attributes:
        slow_down: Operations are answered 503 SlowDown.
        internal_error: Operations are answered 500 InternalError.
        operations: Both hit the operations whose name begins with this.
        drop_after_bytes: The connection ends when so many bytes of a GET's body went out.
        body_bytes_per_second: No body of a GET goes out faster.
        before_get: Called with bucket and key before a GET looks at the object.
    """

    slow_down: bool = False
    internal_error: bool = False
    operations: str = ""
    drop_after_bytes: int | None = None
    body_bytes_per_second: int | None = None
    before_get: BeforeGet | None = None
    _once: list[tuple[str, Once]] = field(default_factory=list)

    def once(self, operation: str, what: Once, *, times: int = 1) -> None:
        """The next *times* requests for *operation*, such as `GetObject`, go wrong.

        `drop` ends the connection without an answer.
        """
        self._once.extend([(operation, what)] * times)

    def next_for(self, operation: str) -> Once | None:
        """Return what a request that came just now has to suffer; `once` is used up by it."""
        for index, (name, what) in enumerate(self._once):
            if name == operation:
                del self._once[index]
                return what
        if operation.startswith(self.operations):
            if self.slow_down:
                return "slow_down"
            if self.internal_error:
                return "internal_error"
        return None

    def calm(self) -> None:
        """Nothing goes wrong any more."""
        self.slow_down = self.internal_error = False
        self.operations = ""
        self.drop_after_bytes = self.body_bytes_per_second = self.before_get = None
        self._once.clear()
