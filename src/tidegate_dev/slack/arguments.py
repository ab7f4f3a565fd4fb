"""Arguments of a Web API call, from whatever content type it came in.

Slack takes JSON, forms and the query for every method, and nested JSON as an object or as a string.
Source: https://docs.slack.dev/apis/web-api/#basics
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.formparsers import MultiPartException
from starlette.requests import Request

from tidegate_dev.slack.errors import ApiError

MAX_BODY_BYTES: Final = 4 * 1024 * 1024
MAX_FIELDS: Final = 1000
_TRUE: Final = ("1", "true", "t", "yes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What a call was given; *token* is kept apart so that it is in no record."""

    values: Mapping[str, Any]
    token: str | None = field(default=None, repr=False)
    warnings: tuple[str, ...] = ()

    def has(self, name: str) -> bool:
        """Whether the argument was given with a value other than null."""
        return self.values.get(name) is not None

    def text(self, name: str, default: str = "") -> str:
        """Return a string argument."""
        value = self.values.get(name)
        if value is None:
            return default
        return value if isinstance(value, str) else json.dumps(value)

    def required(self, name: str, error: str) -> str:
        """Return a string argument that must not be empty, or raise *error*."""
        value = self.text(name)
        if not value:
            raise ApiError(error)
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a boolean argument; forms say `1` or `true`."""
        value = self.values.get(name)
        if value is None:
            return default
        return value if isinstance(value, bool) else str(value).lower() in _TRUE

    def number(self, name: str, default: int, *, most: int) -> int:
        """Return a whole number from 1 to *most*.

        Raises:
            ApiError: `invalid_limit` when it is no such number.
        """
        value = self.values.get(name)
        if value is None or value == "":
            return default
        try:
            number = int(value)
        except (TypeError, ValueError):
            raise ApiError("invalid_limit") from None
        if number < 1:
            raise ApiError("invalid_limit")
        return min(number, most)

    def nested(self, name: str, error: str) -> Any:
        """Return an argument that is JSON, given as itself or as a string; else raise *error*."""
        value = self.values.get(name)
        if not isinstance(value, str):
            return value
        if not value.strip():
            return None
        try:
            return _parsed(value)
        except (ValueError, RecursionError):
            raise ApiError(error) from None


async def read(request: Request) -> Arguments:
    """Return the arguments of *request*.

    Raises:
        ApiError: The body is too large, or is not what its content type says.
    """
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    kind = kind.strip().lower()
    values: dict[str, Any] = {k: v for k, v in request.query_params.items() if k != "token"}
    header = request.headers.get("authorization", "")
    token = header[7:].strip() if header[:7].lower() == "bearer " else None
    warnings: tuple[str, ...] = ()
    if kind in ("application/json", "text/plain"):
        values.update(_json(await _body(request)))
        if kind == "application/json" and "charset" not in parameters.lower():
            warnings = ("missing_charset",)
    elif kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        raw = await _body(request)
        form = await _multipart(request) if kind.startswith("multipart") else fields(raw)
        token = token or form.get("token")
        values.update({k: v for k, v in form.items() if k != "token"})
    elif await _body(request):
        raise ApiError("invalid_post_type")
    return Arguments(values=values, token=token, warnings=warnings)


async def _body(request: Request) -> bytes:
    body = await request.body()
    if len(body) > MAX_BODY_BYTES:
        raise ApiError("request_entity_too_large")
    return body


def _parsed(text: str | bytes) -> Any:
    """Return what JSON says. Raises `ValueError`, for half of a character in it, too."""
    parsed = json.loads(text)
    json.dumps(parsed, ensure_ascii=False).encode()
    return parsed


def _json(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        parsed = _parsed(body)
    except (ValueError, RecursionError):
        raise ApiError("invalid_json") from None
    if not isinstance(parsed, dict):
        raise ApiError("json_not_object")
    parsed.pop("token", None)
    return parsed


def fields(body: bytes) -> dict[str, str]:
    """Return the fields of a urlencoded form; of a field that comes twice, the last.

    Raises:
        ApiError: There are too many, or it is not UTF-8.
    """
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict"
        )
    except ValueError:
        raise ApiError("invalid_form_data") from None
    return dict(pairs)


async def _multipart(request: Request) -> dict[str, str]:
    try:
        async with request.form() as form:
            return {name: value for name, value in form.items() if isinstance(value, str)}
    except MultiPartException:
        raise ApiError("invalid_form_data") from None
