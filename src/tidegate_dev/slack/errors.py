"""The one way a Web API call goes wrong: an error code in Slack's words."""

from collections.abc import Mapping, Sequence
from typing import Any


class ApiError(Exception):
    """A call that is answered with `{"ok": false, "error": code}`.

    Args:
        code: Slack's error code, such as `channel_not_found`.
        messages: Lines for `response_metadata.messages`.
        fields: Further top-level fields of the answer, such as `needed`.
    """

    def __init__(
        self,
        code: str,
        *,
        messages: Sequence[str] = (),
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.messages = tuple(messages)
        self.fields = dict(fields or {})

    def answer(self) -> dict[str, Any]:
        """Return the body of the answer."""
        body: dict[str, Any] = {"ok": False, "error": self.code, **self.fields}
        if self.messages:
            body["response_metadata"] = {"messages": list(self.messages)}
        return body
