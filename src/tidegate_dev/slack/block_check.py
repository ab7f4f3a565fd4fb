"""The checks that every block and element is made of; what fails is named by JSON pointer."""

from typing import Any

Json = dict[str, Any]


class Check:
    """Collects what is wrong, each with its place."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def fail(self, reason: str, at: str) -> None:
        """The thing at *at* is wrong, for *reason*."""
        self.errors.append(f"{reason} [json-pointer:{at}]")

    def mapping(self, value: object, at: str) -> Json | None:
        """Return *value* if it is an object, else None and a failure."""
        if isinstance(value, dict):
            return value
        self.fail("must provide an object", at)
        return None

    def string(
        self, holder: Json, key: str, at: str, *, most: int, least: int = 0, need: bool = False
    ) -> None:
        """The field *key* is a string of fitting length, or absent unless there is need."""
        if key not in holder or holder[key] is None:
            if need:
                self.fail(f"missing required field: {key}", at)
            return
        value = holder[key]
        if not isinstance(value, str):
            self.fail("must be a string", f"{at}/{key}")
        elif len(value) > most:
            self.fail(f"must be less than {most + 1} characters", f"{at}/{key}")
        elif len(value) < least:
            self.fail(f"must be more than {least - 1} characters", f"{at}/{key}")

    def items(
        self, holder: Json, key: str, at: str, *, least: int = 1, most: int, need: bool = True
    ) -> list[Any]:
        """Return the list in the field *key*; an empty one with a failure if it is none."""
        if key not in holder:
            if need:
                self.fail(f"missing required field: {key}", at)
            return []
        value = holder[key]
        if not isinstance(value, list):
            self.fail("must be an array", f"{at}/{key}")
            return []
        if len(value) > most:
            self.fail(f"no more than {most} items allowed", f"{at}/{key}")
        elif len(value) < least:
            self.fail(f"no fewer than {least} items allowed", f"{at}/{key}")
        return value

    def text(
        self, holder: Json, key: str, at: str, *, most: int, plain: bool = False, need: bool = True
    ) -> None:
        """The field *key* is a text object."""
        if key not in holder or holder[key] is None:
            if need:
                self.fail(f"missing required field: {key}", at)
            return
        text = self.mapping(holder[key], f"{at}/{key}")
        if text is not None:
            self.text_object(text, f"{at}/{key}", most=most, plain=plain)

    def text_object(self, text: Json, at: str, *, most: int, plain: bool = False) -> None:
        """*text* is a text object of fitting length; with *plain*, one of plain text."""
        kinds = ("plain_text",) if plain else ("plain_text", "mrkdwn")
        if text.get("type") not in kinds:
            self.fail(f"unsupported type: {text.get('type')}", f"{at}/type")
            return
        self.string(text, "text", at, most=most, least=1, need=True)

    def one_of(self, holder: Json, key: str, at: str, *allowed: object) -> None:
        """The field *key* has one of the *allowed* values, or is absent."""
        if key in holder and holder[key] not in allowed:
            self.fail(f"must be one of {', '.join(map(str, allowed))}", f"{at}/{key}")
