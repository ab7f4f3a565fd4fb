"""A queue of Amazon SQS: its JSON protocol, signed, over one aiohttp session.

Requests go to the host of the configured queue and to no other, whatever an answer says.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-making-api-requests-json.html
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import aiohttp
import msgspec

from tidegate.core.diagnosis.queue import Look
from tidegate.core.sigv4 import Credentials, Signer
from tidegate.errors import QueueError
from tidegate.ports import Clock, Message

BATCH: Final = 10  # messages of one request: SQS's own bound
WAIT_SECONDS: Final = 20  # SQS's longest
CALL_SECONDS: Final = 10.0
MAX_ANSWER_BYTES: Final = 33_554_432  # ten messages of a mebibyte, each character escaped
MAX_BURIED_BYTES: Final = 1_040_000  # a message has a mebibyte at most, with its attributes
REASON: Final = "TidegateReason"
_TYPE: Final = "application/x-amz-json-1.0"

#: SQS's words, without «Exception», and ours for them.
_CODES: Final = {
    "QueueDoesNotExist": "no_queue",
    "NonExistentQueue": "no_queue",
    "ResourceNotFound": "no_queue",
    "RequestThrottled": "busy",
    "Throttling": "busy",
    "ThrottlingException": "busy",
    "OverLimit": "busy",
    "KmsThrottled": "busy",
    "AccessDenied": "no_access",
    "InvalidSecurity": "no_access",
    "InvalidClientTokenId": "no_access",
    "InvalidSignature": "no_access",
    "SignatureDoesNotMatch": "no_access",
    "UnrecognizedClient": "no_access",
    "ExpiredToken": "no_access",
    "MissingAuthenticationToken": "no_access",
    "IncompleteSignature": "no_access",
    "InvalidToken": "no_access",
    "KmsAccessDenied": "no_access",
    "KmsDisabled": "no_access",
    "KmsNotFound": "no_access",
    "KmsInvalidState": "no_access",
    "KmsInvalidKeyUsage": "no_access",
    "KmsOptInRequired": "no_access",
}


class KeysOfAws(Protocol):
    """Where credentials come from."""

    async def current(self) -> Credentials:
        """Return credentials that are valid now."""


class Sqs:
    """Receives from one queue, and buries in another what cannot be followed.

    Args:
        url: The queue's, as SQS shows it.
        dead_letter_url: Of a queue on the same host, or None.
        region: The queue's region.
        credentials: The caller's.
        clock: Tells the time of signatures.
        wait_seconds: How long SQS waits for a message before it answers that there is none.
    """

    def __init__(
        self,
        *,
        url: str,
        dead_letter_url: str | None = None,
        region: str,
        credentials: KeysOfAws,
        clock: Clock,
        wait_seconds: int = WAIT_SECONDS,
    ) -> None:
        self._url = url
        self._dead_letter_url = dead_letter_url
        parts = urlsplit(url)
        self._host = f"{parts.scheme}://{parts.netloc}/"
        self._region = region
        self._credentials = credentials
        self._clock = clock
        self._wait_seconds = wait_seconds
        self._signer = Signer()
        self._session: aiohttp.ClientSession | None = None

    @property
    def buries(self) -> bool:
        """Whether there is a place for messages that cannot be followed."""
        return self._dead_letter_url is not None

    async def receive(self) -> Sequence[Message]:
        """Return messages once there are some, or none after a while."""
        answer = await self._call(
            "ReceiveMessage",
            {
                "MaxNumberOfMessages": BATCH,
                "WaitTimeSeconds": self._wait_seconds,
                "AttributeNames": ["ApproximateReceiveCount"],
            },
            seconds=self._wait_seconds + CALL_SECONDS,
        )
        return [_message(entry) for entry in _entries(answer, "Messages")]

    async def delete(self, messages: Sequence[Message]) -> int:
        """Have messages not come again; return of how many that is not certain."""
        entries = [{"Id": str(n), "ReceiptHandle": m.receipt} for n, m in enumerate(messages)]
        return await self._batched("DeleteMessageBatch", entries)

    async def postpone(self, messages: Sequence[Message], *, seconds: int) -> None:
        """Have messages come again after so many seconds; those that have gone are passed over."""
        entries = [
            {"Id": str(n), "ReceiptHandle": m.receipt, "VisibilityTimeout": seconds}
            for n, m in enumerate(messages)
        ]
        await self._batched("ChangeMessageVisibilityBatch", entries)

    async def bury(self, message: Message, *, reason: str) -> None:
        """Put a copy of a message, with the reason, to those that cannot be followed."""
        if self._dead_letter_url is None:
            raise QueueError("no_queue")
        body = message.body[:MAX_BURIED_BYTES].decode(errors="ignore")
        await self._call(
            "SendMessage",
            {
                "QueueUrl": self._dead_letter_url,
                "MessageBody": body,
                "MessageAttributes": {REASON: {"DataType": "String", "StringValue": reason}},
            },
        )

    async def look(self, url: str | None = None) -> Look:
        """Return what the queue, or the other one at *url*, says of itself; nothing is received.

        Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html
        """
        asked = {"QueueUrl": url or self._url, "AttributeNames": ["All"]}
        try:
            status, answer = await self._exchange("GetQueueAttributes", asked, CALL_SECONDS)
        except QueueError:
            return Look(status=0)
        found = (answer or {}).get("Attributes")
        attributes = found if isinstance(found, dict) else {}
        return Look(
            status=status,
            kind=_kind(answer) if status != 200 else "",
            attributes={str(name): str(value) for name, value in attributes.items()},
        )

    async def close(self) -> None:
        """Let connections go."""
        if self._session is not None:
            await self._session.close()

    async def _batched(self, action: str, entries: list[dict[str, Any]]) -> int:
        failed = 0
        for start in range(0, len(entries), BATCH):
            answer = await self._call(action, {"Entries": entries[start : start + BATCH]})
            failed += len(_entries(answer, "Failed"))
        return failed

    async def _call(
        self, action: str, asked: Mapping[str, Any], *, seconds: float = CALL_SECONDS
    ) -> Mapping[str, Any]:
        status, answer = await self._exchange(action, asked, seconds)
        if status != 200:
            raise _failure(status, answer)
        if answer is None:
            raise QueueError("not_understood")
        return answer

    async def _exchange(
        self, action: str, asked: Mapping[str, Any], seconds: float
    ) -> tuple[int, Mapping[str, Any] | None]:
        body = msgspec.json.encode({"QueueUrl": self._url, **asked})
        headers = {"Content-Type": _TYPE, "X-Amz-Target": f"AmazonSQS.{action}"}
        signed = self._signer.sign(
            method="POST",
            url=self._host,
            headers=headers,
            body=body,
            credentials=await self._credentials.current(),
            region=self._region,
            service="sqs",
            now=datetime.fromtimestamp(self._clock.now(), tz=UTC),
        )
        try:
            async with (
                asyncio.timeout(seconds),
                self._http.post(
                    self._host, data=body, headers={**headers, **signed}, allow_redirects=False
                ) as response,
            ):
                status = response.status
                content = await _content(response)
        except (aiohttp.ClientError, TimeoutError, OSError):
            raise QueueError("unreachable") from None
        return status, _decoded(content)

    @property
    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=4),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=5.0),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session


async def _content(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            raise QueueError("not_understood")
    return bytes(content)


def _decoded(content: bytes) -> Mapping[str, Any] | None:
    try:
        found = msgspec.json.decode(content or b"{}")
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _kind(answer: Mapping[str, Any] | None) -> str:
    """Return SQS's name for a failure; empty if it names none."""
    return str((answer or {}).get("__type", "")).rpartition("#")[2].rpartition(".")[2][:80]


def _failure(status: int, answer: Mapping[str, Any] | None) -> QueueError:
    """Return our word for SQS's refusal; its own text goes no further."""
    kind = _kind(answer)
    code = _CODES.get(kind) or _CODES.get(kind.removesuffix("Exception"))
    if code is not None:
        return QueueError(code)
    if status in (401, 403):
        return QueueError("no_access")
    if status == 429:
        return QueueError("busy")
    return QueueError("unreachable" if status >= 500 else "not_understood")


def _entries(answer: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = answer.get(name) or []
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise QueueError("not_understood")
    return found


def _message(entry: Mapping[str, Any]) -> Message:
    receipt, body = entry.get("ReceiptHandle"), entry.get("Body", "")
    if not isinstance(receipt, str) or not isinstance(body, str):
        raise QueueError("not_understood")
    attributes = entry.get("Attributes")
    told = attributes.get("ApproximateReceiveCount") if isinstance(attributes, dict) else None
    count = str(told)
    receives = int(count) if count.isascii() and count.isdigit() and len(count) < 10 else 1
    return Message(receipt=receipt, body=body.encode(), receives=receives)
