"""Slack's bad days, switched on and off."""

from dataclasses import dataclass, field
from typing import Final, Literal

from starlette.responses import JSONResponse, PlainTextResponse, Response

Fault = Literal[
    "drop_before",
    "drop_after",
    "error_before",
    "error_after",
    "timeout_before",
    "limited_before",
    "internal_error",
    "refused",
    "gone",
    "slow",
    "lost",
]

# Steps of a file's way that are no methods of the Web API.
UPLOAD: Final = "upload"
PROCESSING: Final = "processing"
SHARING: Final = "sharing"


@dataclass(slots=True, kw_only=True)
class SlackFaults:
    """What goes wrong at the moment; as made, nothing does.

    *rate_limited* and *hanging* last until they are set back; they hit the methods
    whose name begins with *methods*. What `once` arranges happens to the next calls,
    what `always` arranges to all of them.
    """

    rate_limited: bool = False
    retry_after_seconds: int = 3
    hanging: bool = False
    response_urls_fail: bool = False
    methods: str = "chat."
    slow_processing_seconds: float = 20.0
    _once: list[tuple[str, Fault]] = field(default_factory=list)
    _always: dict[str, Fault] = field(default_factory=dict)

    def limits(self, method: str) -> bool:
        """Whether a call of *method* is answered 429 now."""
        return self.rate_limited and method.startswith(self.methods)

    def hangs(self, method: str) -> bool:
        """Whether a call of *method* is accepted and not answered now."""
        return self.hanging and method.startswith(self.methods)

    def once(self, step: str, what: Fault, *, times: int = 1) -> None:
        """The next *times* that *step* comes it goes wrong.

        A step is a method's name, `upload` (bytes that come to an upload URL), `processing`
        or `sharing` (what becomes of a file after files.completeUploadExternal).

        `drop_*` cuts the connection, `error_*` answers 500 without JSON; `*_before` does
        so with nothing done, `*_after` when the call has taken effect. With nothing done
        answer as well: `timeout_before` 408, `limited_before` 429 with *retry_after_seconds*,
        `internal_error` Slack's error of that name; `refused` 403 and `gone` 404, as an
        upload URL does. `slow` is for `processing`: it takes *slow_processing_seconds*.
        `lost` is for `sharing`: the file never appears in its channel.
        """
        self._once.extend([(step, what)] * times)

    def always(self, step: str, what: Fault | None) -> None:
        """Whenever *step* comes it goes wrong, until *what* is None."""
        if what is None:
            self._always.pop(step, None)
        else:
            self._always[step] = what

    def next_for(self, step: str) -> Fault | None:
        """Return what the *step* that came just now has to suffer; what was once is forgotten."""
        for index, (name, what) in enumerate(self._once):
            if name == step:
                del self._once[index]
                return what
        return self._always.get(step)

    def instead(self, fault: Fault | None) -> Response | None:
        """Return what *fault* answers in place of doing anything; None for one that does not."""
        match fault:
            case "timeout_before":
                return PlainTextResponse("stream timeout", status_code=408)
            case "limited_before":
                headers = {"retry-after": str(self.retry_after_seconds)}
                limited = {"ok": False, "error": "ratelimited"}
                return JSONResponse(limited, status_code=429, headers=headers)
            case "error_before":
                return PlainTextResponse("stream timeout", status_code=500)
            case "internal_error":
                return JSONResponse({"ok": False, "error": "internal_error"})
            case "refused":
                return PlainTextResponse("forbidden", status_code=403)
            case "gone":
                return PlainTextResponse("not found", status_code=404)
            case _:
                return None

    def calm(self) -> None:
        """Nothing goes wrong any more."""
        self.rate_limited = self.hanging = self.response_urls_fail = False
        self._once.clear()
        self._always.clear()
