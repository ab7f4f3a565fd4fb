"""Lines from elsewhere become fit to be shown: secrets struck out, and no longer than is useful.

What a program logs is up to the program. These are the shapes that secrets are known by; a secret
without a shape cannot be told from other text, so that logs are for those whom RBAC lets read them.
"""

import re
from typing import Final

MAX_LINE_CHARS: Final = 2_000
STRUCK: Final = "[redacted]"
_TOO_LONG: Final = "…"

# Each pattern is linear in the line: no nested repetition, every class bounded by what follows.
_WHOLE: Final = (
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
    re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA|ABIA|ACCA)[A-Z2-7]{16}\b"),
    # https://docs.slack.dev/authentication/tokens
    re.compile(r"\bx(?:ox[a-z]|app)(?:[.-][A-Za-z0-9]{1,255}){1,10}"),
    # https://github.blog/engineering/behind-githubs-new-authentication-token-formats/
    re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{20,255})"),
    # RFC 7519: three parts, the first of which begins with {"
    re.compile(r"\beyJ[A-Za-z0-9_-]{5,4096}\.[A-Za-z0-9_-]{2,8192}\.[A-Za-z0-9_-]{0,4096}"),
    # https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
    re.compile(r"https://hooks\.slack(?:-gov)?\.com/[A-Za-z0-9/_-]{8,200}"),
)
_AFTER: Final = (
    # Authorization: Bearer …, and what else carries a token in that way (RFC 6750, RFC 7617)
    re.compile(r"(?i)(\b(?:bearer|basic)[ :=\"']{1,4})[A-Za-z0-9+/=_.~-]{8,8192}"),
    # password=…, "api_key": "…", AWS_SECRET_ACCESS_KEY=…
    re.compile(
        r"(?i)((?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key"
        r"|client[_-]?secret|credential)s?[\"']?[ ]?(?:=|:)[ ]?[\"']?)[^\s\"',;&]{3,4096}"
    ),
    # X-Amz-Signature, -Credential and -Security-Token of presigned URLs, and SAS tokens
    re.compile(
        r"(?i)([?&](?:x-amz-(?:signature|credential|security-token)|sig|sv_sig)=)[^&\s\"']+"
    ),
    # scheme://user:password@host (RFC 3986, 3.2.1)
    re.compile(r"(?i)(\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@\"']{0,256}:)[^\s/@\"']{1,512}(?=@)"),
)
_KEY_BEGINS: Final = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----")
_KEY_ENDS: Final = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----")
#: A line of a key, after the time that Kubernetes puts before each line of a log.
_BASE64: Final = re.compile(r"(?:\d{4}-\d\d-\d\dT[0-9:.]{8,24}Z )?[A-Za-z0-9+/=]{1,128}")
# Terminal escapes (ECMA-48) and control characters but tab: they could redraw what was shown.
_ESCAPES: Final = re.compile(
    r"\x1b\[[0-?]{0,32}[ -/]{0,8}[@-~]|\x1b\][^\x07\x1b]{0,256}(?:\x07|\x1b\\)"
)
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def line(text: str) -> str:
    """Return one line without secrets of a known shape, cut to `MAX_LINE_CHARS`."""
    text = text if len(text) <= 2 * MAX_LINE_CHARS else text[: 2 * MAX_LINE_CHARS]
    text = _CONTROLS.sub("", _ESCAPES.sub("", text))
    for shape in _WHOLE:
        text = shape.sub(STRUCK, text)
    for shape in _AFTER:
        text = shape.sub(rf"\1{STRUCK}", text)
    return text if len(text) <= MAX_LINE_CHARS else text[: MAX_LINE_CHARS - 1] + _TOO_LONG


def lines(raw: bytes, *, most: int) -> tuple[str, ...]:
    """Return the last lines of a log, each made fit to be shown; private keys go as a whole.

    Args:
        raw: UTF-8, more or less.
        most: How many lines.
    """
    found: list[str] = []
    inside = False
    for text in raw.decode("utf-8", "replace").replace("\r\n", "\n").split("\n"):
        if inside:
            inside = not _KEY_ENDS.search(text)
            continue
        if begins := _KEY_BEGINS.search(text):
            rest = text[begins.end() :]
            ends = _KEY_ENDS.search(rest)
            inside = ends is None and "\\n" not in rest
            after = rest[ends.end() :] if ends else ""
            text = f"{text[: begins.start()]}{STRUCK}{after}"
        elif ends := _KEY_ENDS.search(text):  # it began before what was read
            while found and _BASE64.fullmatch(found[-1]):
                found.pop()
            text = f"{STRUCK}{text[ends.end() :]}"
        found.append(line(text))
    while found and not found[-1]:
        found.pop()
    return tuple(found[-most:])
