"""What is shown on the page carries no secret: not even one made for this afternoon."""

import re
from collections.abc import Iterable
from typing import Any, Final

MASK: Final = "•••"
MAX_TEXT: Final = 20_000

_RESPONSE_URL: Final = re.compile(r"(response(?:/|%2F))[A-Za-z0-9_-]{8,}")
_TRIGGER: Final = re.compile(r"""(trigger_id(?:%22%3A(?:%20|\+)?%22|"\s*:\s*"|=))[^&%"\s]+""")
_PRESIGNED: Final = re.compile(
    r"(X-Amz-(?:Credential|Security-Token|Signature)(?:=|%3D))[^&\s\"'<>|]+", re.IGNORECASE
)
_UPLOAD: Final = re.compile(r"(/upload/v1/)[A-Za-z0-9_-]{8,}")
_BEARER: Final = re.compile(r"(?i)(bearer )\S+")
_SECRET_NAMES: Final = frozenset(
    {
        "authorization",
        "cookie",
        "response_url",
        "tidegate-identity",
        "token",
        "trigger_id",
        "x-amz-security-token",
    }
)


class Masking:
    """Masks the secrets it knows, and what looks like one, in anything that is JSON."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = sorted({s for s in secrets if len(s) >= 6}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def text(self, text: str) -> str:
        """Return *text* with every secret replaced, cut to a length fit to be shown."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        for looks_secret in (_RESPONSE_URL, _TRIGGER, _PRESIGNED, _UPLOAD, _BEARER):
            text = looks_secret.sub(rf"\g<1>{MASK}", text)
        return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"

    def json(self, value: Any) -> Any:
        """Return a copy of *value* with every secret replaced."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {
                str(name): MASK if str(name).lower() in _SECRET_NAMES and item else self.json(item)
                for name, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.json(item) for item in value]
        return value
