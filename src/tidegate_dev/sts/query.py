"""AWS's query protocol: a form comes in, XML goes out, failures included.

Source: https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

NAMESPACE: Final = "https://sts.amazonaws.com/doc/2011-06-15/"
VERSION: Final = "2011-06-15"
MAX_FIELDS: Final = 200

Xml = Mapping[str, "str | Xml"]


class QueryError(Exception):
    """What was asked for is refused, in AWS's words."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class Form:
    """The parameters of a call."""

    fields: Mapping[str, str]

    @classmethod
    def read(cls, body: bytes) -> "Form":
        """Return the form in *body*.

        Raises:
            QueryError: It is none.
        """
        try:
            pairs = parse_qsl(
                body.decode("ascii"),
                keep_blank_values=True,
                max_num_fields=MAX_FIELDS,
                errors="strict",
            )
        except ValueError:
            raise QueryError("MalformedInput", "The request body is not a form.") from None
        return cls(dict(pairs))

    def text(self, name: str) -> str | None:
        """Return a parameter, or None."""
        return self.fields.get(name)

    def required(self, name: str) -> str:
        """Return a parameter that has to be there.

        Raises:
            QueryError: It is not.
        """
        value = self.fields.get(name)
        if not value:
            raise QueryError("ValidationError", f"1 validation error detected: {name} is missing.")
        return value

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """Return a number between *least* and *most*.

        Raises:
            QueryError: It is none, or another.
        """
        value = self.fields.get(name)
        if value is None:
            return default
        number = int(value) if value.isascii() and value.isdigit() and len(value) < 9 else -1
        if not least <= number <= most:
            raise QueryError(
                "ValidationError",
                f"1 validation error detected: Value '{value[:20]}' at '{name}' failed to satisfy "
                f"constraint: Member must be between {least} and {most}",
            )
        return number

    def members(self, name: str) -> list[str]:
        """Return a list: `Name.member.1`, `Name.member.2` and so on."""
        found: list[str] = []
        while (value := self.fields.get(f"{name}.member.{len(found) + 1}")) is not None:
            found.append(value)
        return found

    def tags(self, name: str) -> dict[str, str]:
        """Return a list of keys and values as a mapping."""
        found: dict[str, str] = {}
        number = 1
        while (key := self.fields.get(f"{name}.member.{number}.Key")) is not None:
            found[key] = self.fields.get(f"{name}.member.{number}.Value", "")
            number += 1
        return found


def result(action: str, content: Xml) -> bytes:
    """Return a good answer."""
    inner = f"<{action}Result>{_xml(content)}</{action}Result>"
    meta = f"<ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata>"
    return f'<{action}Response xmlns="{NAMESPACE}">{inner}{meta}</{action}Response>'.encode()


def failure(error: QueryError) -> bytes:
    """Return a bad one."""
    told: Xml = {
        "Type": "Receiver" if error.status >= 500 else "Sender",
        "Code": error.code,
        "Message": str(error),
    }
    return (
        f'<ErrorResponse xmlns="{NAMESPACE}"><Error>{_xml(told)}</Error>'
        f"<RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>"
    ).encode()


def _xml(content: Xml) -> str:
    return "".join(
        f"<{name}>{_text(value) if isinstance(value, str) else _xml(value)}</{name}>"
        for name, value in content.items()
    )


def _text(value: str) -> str:
    """Return a text as XML can hold it: not every character has a place there."""
    return escape("".join(each if each.isprintable() else "?" for each in value))
