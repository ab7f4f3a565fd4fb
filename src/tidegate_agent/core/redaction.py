"""Lines from elsewhere become fit to be shown: secrets struck out, and no longer than is useful.

What a program logs is up to the program. These are the shapes that secrets are known by; a secret
without a shape cannot be told from other text, so that logs are for those whom RBAC lets read them.
"""

import re
from typing import Final

MAX_LINE_CHARS: Final = 2_000
STRUCK: Final = "[redacted]"
_TOO_LONG: Final = "…"

_MOST_READ: Final = 65_536  # characters of a line in which secrets are looked for

# Each pattern is linear in the line: no nested repetition but over what a sign divides, every
# class bounded.
_WHOLE: Final = (
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
    re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA|ABIA|ACCA)[A-Z2-7]{16}\b"),
    # https://docs.slack.dev/authentication/tokens
    re.compile(r"\bx(?:ox[a-z]|app)(?:[.-][A-Za-z0-9]{1,255}){1,10}"),
    # https://github.blog/engineering/behind-githubs-new-authentication-token-formats/
    re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{20,255})"),
    # GitLab, npm, Docker Hub, Vault, Stripe, Google, by the prefixes that they document
    re.compile(
        r"\b(?:gl(?:pat|dt|rt|cbt|ptt|ft|soat)-[A-Za-z0-9_.-]{16,255}|npm_[A-Za-z0-9]{20,255}"
        r"|dckr_(?:pat|oat)_[A-Za-z0-9_-]{16,255}|hv[sbr]\.[A-Za-z0-9_-]{16,1024}"
        r"|(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{10,255}|AIza[A-Za-z0-9_-]{30,64})"
    ),
    # RFC 7519: up to three parts, the first of which begins with {"; also one that was cut
    re.compile(r"\beyJ[A-Za-z0-9_-]{12,4096}(?:\.[A-Za-z0-9_-]{0,8192}){0,4}"),
    # https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
    re.compile(r"https://hooks\.slack(?:-gov)?\.com/[A-Za-z0-9/_-]{8,200}"),
)
_WORDS: Final = (
    r"password|passwd|passphrase|passcode|pwd|secret(?:[_-]?key(?:[_-]?base)?)?|token"
    r"|(?:api|access|account|private|shared|signing|encryption)[_-]?key"
    r"|client[_-]?secret|credential"
)
#: What stands between a name and its value, however deep in JSON: `": "`, `\": \"`, ` => [`.
_IS: Final = (
    r"\\{0,4}[\"']?\s{0,20}(?:=>|:=|=|:|%3D)\s{0,20}(?!\[redacted)"
    r"(?:\[\s{0,4}|\{\s{0,4}\\{0,4}[\"']?val(?:ue)?\\{0,4}[\"']?\s{0,4}[=:]\s{0,4})?"
)
#: A value: up to the quote that it began with, or up to a blank, or up to the next name.
_VALUE: Final = (
    r"(?:(?P<quote>[\"'])(?:\\.|(?!(?P=quote))[^\\]){1,4096}(?P=quote)?"
    r"|(?P<deep>\\{1,4}[\"'])(?:(?!(?P=deep)).){1,4096}(?P=deep)?"
    r"|(?=[^\s\"'\\]{3})[^\s\"',;&\\]{1,4096}"
    r"(?:[,;&](?![\w.-]{1,60}[\"']?[=:])[^\s\"',;&\\]{1,4096}){0,50})"
)
_AFTER: Final = (
    # Authorization: Token …, Digest …, and Cookie: …, as headers and as members
    re.compile(
        rf"(?i)((?:\bauthorization|\bx-(?:api-key|auth-token)){_IS}\\{{0,4}}[\"']?)"
        r"(?:(?:aws4-hmac-sha256|digest)\s[^\"'\\]{1,4096}"
        r"|(?:[a-z]{3,20}\s{1,4}(?=[^\s\"'\\]{6}))?[^\s\"',\\]{3,8192})"
    ),
    re.compile(rf"(?i)(\b(?:set-)?cookie{_IS}\\{{0,4}}[\"']?)[^\"'\\]{{3,8192}}"),
    # Bearer …, and what else carries a token in that way (RFC 6750, RFC 7617)
    re.compile(r"(?i)(\b(?:bearer|basic)[\s:=\"'\\]{1,6})[A-Za-z0-9+/=_.~-]{8,8192}"),
    # scheme://user:password@host (RFC 3986, 3.2.1), however badly the password is escaped
    re.compile(
        r"(?i)(\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@\"']{0,256}:)(?!\d{1,5}/)[^\s\"']{1,256}(?=@)"
    ),
    # X-Amz-Signature, -Credential and -Security-Token of presigned URLs, and SAS tokens
    re.compile(
        r"(?i)([?&](?:x-amz-(?:signature|credential|security-token)|sig|sv_sig)=)[^&\s\"']+"
    ),
    # password=…, "api_key": "…", AWS_SECRET_ACCESS_KEY=…, PGPASS=…
    re.compile(rf"(?i)((?:{_WORDS})s?{_IS}){_VALUE}"),
    re.compile(rf"(?i)(pass=){_VALUE}"),
    # --password …
    re.compile(
        rf"(?i)((?<![\w-])--?[a-z0-9-]{{0,40}}(?:{_WORDS}|pass)\s{{1,5}})(?!-|\[redacted){_VALUE}"
    ),
)
_KEY_BEGINS: Final = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----")
_KEY_ENDS: Final = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----")
#: The time that Kubernetes puts before each line of a log.
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]{8,24}Z ")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/=]{1,128}")
_FULL_LINE: Final = 40  # characters of a line of a key that is not its last, at least
# Terminal escapes (ECMA-48) and control characters but tab: they could redraw what was shown.
_ESCAPES: Final = re.compile(
    r"\x1b\[[0-?]{0,32}[ -/]{0,8}[@-~]|\x1b\][^\x07\x1b]{0,256}(?:\x07|\x1b\\)"
)
_CONTROLS: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
)


def line(text: str) -> str:
    """Return one line without secrets of a known shape, cut to `MAX_LINE_CHARS`."""
    long = len(text) > _MOST_READ
    text = _CONTROLS.sub("", _ESCAPES.sub("", text[:_MOST_READ]))
    for shape in _WHOLE:
        text = shape.sub(STRUCK, text)
    for shape in _AFTER:
        text = shape.sub(rf"\1{STRUCK}", text)
    if long and len(text) <= MAX_LINE_CHARS:  # its last secret may have been cut before it was seen
        return text[: text.rfind(STRUCK) + len(STRUCK)] + _TOO_LONG
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
            before = text[: ends.start()]
            last = True
            while found and _is_of_key(found[-1], before, last=last):
                found.pop()
                last = False
            text = f"{STRUCK}{text[ends.end() :]}"
        found.append(line(text))
    while found and not found[-1]:
        found.pop()
    return tuple(found[-most:])


def _is_of_key(text: str, before: str, *, last: bool) -> bool:
    """Return whether a line is of a key at whose end there is *before* in front of it.

    What a program puts before each line is the same but for its digits, such as a time.
    """
    text, before = _TIME.sub("", text, count=1).strip(), _TIME.sub("", before, count=1).strip()
    if not before:
        return bool(_BASE64.fullmatch(text))
    head, _, body = text.rpartition(" ")
    alike = re.sub(r"\d+", "0", head.strip()) == re.sub(r"\d+", "0", before)
    return alike and bool(_BASE64.fullmatch(body)) and (last or len(body) >= _FULL_LINE)
