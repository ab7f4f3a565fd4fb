"""What can be wrong with credentials, buckets, queues and scanners."""

import dataclasses
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.entry.doctor.faults.fault import Config, During, Fault, bucket, changed, pathway, well
from tests.far_ends.live import ACCOUNT, Live
from tidegate_dev.listener import Listener
from tidegate_dev.scanner import ScannerFarEnd
from tidegate_dev.scanner.inspection import Limits


def _without_keys() -> dict[str, str | None]:
    return dict.fromkeys(
        (
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_CREDENTIAL_EXPIRATION",
        )
    )


CREDENTIALS = [
    Fault(
        name="there are no credentials",
        codes={"credentials.none"},
        during=well(),
        environ=_without_keys(),
    ),
    Fault(
        name="AWS does not know the credentials",
        codes={"credentials.refused"},
        during=well(),
        environ={"AWS_ACCESS_KEY_ID": "ASIANOBODY0000000000"},
    ),
    Fault(
        name="a role is not ours to assume",
        codes={"credentials.role_refused"},
        during=pathway(assume_role=f"arn:aws:iam::{ACCOUNT}:role/of-somebody-else"),
    ),
    Fault(
        name="the secret key has a line end in it",
        codes={"credentials.unreadable", "credentials.refused"},
        during=well(),
        environ={"AWS_SECRET_ACCESS_KEY": "planted-secret\nkey"},
    ),
    Fault(
        name="the credentials end soon",
        codes={"credentials.expire", "s3.links_cut_short"},
        during=well(),
        environ={
            "AWS_CREDENTIAL_EXPIRATION": time.strftime(
                "%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 590)
            )
        },
    ),
]


def denied(*actions: str, **keys: Any) -> During:
    """The gateway's keys lack rights in S3."""

    @asynccontextmanager
    async def during(live: Live, config: Config) -> AsyncIterator[None]:
        config["s3"]["buckets"]["reports"].update(keys)
        before = dict(live.s3_keys)
        for name, key in before.items():
            live.s3_keys[name] = dataclasses.replace(key, denied=actions)
        yield
        live.s3_keys.update(before)

    return during


def before_s3(answer: Callable[[Scope, dict[str, str]], tuple[int, bytes] | None]) -> During:
    """Something stands before S3 and answers some requests by itself."""

    @asynccontextmanager
    async def during(live: Live, config: Config) -> AsyncIterator[None]:
        behind: ASGIApp = live.s3._service

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            headers = {name.decode(): value.decode() for name, value in scope.get("headers", [])}
            found = answer(scope, headers) if scope["type"] == "http" else None
            if found is None:
                await behind(scope, receive, send)
                return
            status, body = found
            head = [(b"content-type", b"application/xml")]
            await send({"type": "http.response.start", "status": status, "headers": head})
            await send({"type": "http.response.body", "body": body})

        async with Listener(app) as front:
            config["s3"]["endpoint_url"] = front.url
            yield

    return during


def _public(scope: Scope, headers: dict[str, str]) -> tuple[int, bytes] | None:
    signed = "authorization" in headers or b"X-Amz-Signature" in scope["query_string"]
    return None if signed else (200, b"<ListBucketResult></ListBucketResult>")


def _error(code: str, words: str = "") -> bytes:
    return f"<Error><Code>{code}</Code><Message>{words}</Message></Error>".encode()


def _no_links(scope: Scope, _: dict[str, str]) -> tuple[int, bytes] | None:
    presigned = b"X-Amz-Signature" in scope["query_string"]
    return (403, _error("AccessDenied")) if presigned else None


def _no_decryption(scope: Scope, headers: dict[str, str]) -> tuple[int, bytes] | None:
    reads = scope["method"] == "GET" and scope["path"].endswith(".csv")
    words = "is not authorized to perform: kms:Decrypt on this resource"
    return (403, _error("AccessDenied", words)) if reads and "authorization" in headers else None


def _elsewhere(scope: Scope, _: dict[str, str]) -> tuple[int, bytes] | None:
    presigned = b"X-Amz-Signature" in scope["query_string"]
    return (307, _error("PermanentRedirect")) if presigned else None


def named(name: str, *, versioned: bool) -> During:
    """Another bucket, with one object."""

    @asynccontextmanager
    async def during(live: Live, config: Config) -> AsyncIterator[None]:
        live.s3.add_bucket(name, versioned=versioned)
        file = live.folder / "buckets" / name / "q3" / "report.csv"
        file.parent.mkdir(exist_ok=True)
        file.write_text("a,b\n")
        await live.s3.look()
        config["s3"]["buckets"]["reports"]["name"] = name
        yield

    return during


def fronted(key: str | None) -> During:
    """CloudFront is before the bucket; with a key of ours, or what is none."""

    @asynccontextmanager
    async def during(live: Live, config: Config) -> AsyncIterator[None]:
        file = live.folder / f"front-{live.made}.pem"
        made = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        file.write_bytes(made if key is None else key.encode())
        config["s3"]["buckets"]["reports"]["cloudfront"] = {
            "domain": "d111111abcdef8.invalid",
            "key_pair_id": "K2JCJMDEHXQW5F",
            "private_key": {"file": str(file)},
        }
        yield

    return during


def queue(**keys: Any) -> During:
    return changed(lambda config: config["s3"]["events"].update(keys))


def with_queue(name: str, **attributes: str) -> During:
    @asynccontextmanager
    async def during(live: Live, _: Config) -> AsyncIterator[None]:
        before = live.queues.attributes[name]
        live.queues.attributes[name] = {**before, **attributes}
        yield
        live.queues.attributes[name] = before

    return during


def without_queue(name: str) -> During:
    @asynccontextmanager
    async def during(live: Live, _: Config) -> AsyncIterator[None]:
        before = live.queues.attributes.pop(name)
        yield
        live.queues.attributes[name] = before

    return during


def queue_says(refusal: str) -> During:
    @asynccontextmanager
    async def during(live: Live, _: Config) -> AsyncIterator[None]:
        live.queues.refusal = refusal
        yield
        live.queues.refusal = ""

    return during


@asynccontextmanager
async def no_dead_letters(_: Live, config: Config) -> AsyncIterator[None]:
    del config["s3"]["events"]["dead_letter_url"]
    yield


def scanner(fault: str) -> During:
    @asynccontextmanager
    async def during(live: Live, _: Config) -> AsyncIterator[None]:
        live.scanner.set_fault(fault, True)
        yield
        live.scanner.set_fault(fault, False)

    return during


@asynccontextmanager
async def narrow_scanner(_: Live, config: Config) -> AsyncIterator[None]:
    async with ScannerFarEnd(limits=Limits(file_bytes=10_000, alert=False)) as narrow:
        config["s3"]["buckets"]["reports"]["scan"]["clamd"] = narrow.address
        yield


SHARING = [
    Fault(
        name="there is no such bucket", codes={"s3.no_bucket"}, during=bucket(name="acme-nowhere")
    ),
    Fault(
        name="objects may not be listed",
        codes={"s3.list_denied"},
        during=denied("s3:ListBucket"),
    ),
    Fault(
        name="objects may not be listed, and need not be",
        codes={"s3.list_denied_wished"},
        during=denied("s3:ListBucket", modes=["link"]),
    ),
    Fault(
        name="objects may not be read",
        codes={"s3.get_denied"},
        during=denied("s3:GetObject"),
    ),
    Fault(
        name="versions may not be read",
        codes={"s3.version_denied"},
        during=denied("s3:GetObjectVersion"),
    ),
    Fault(
        name="a key of KMS may not be used",
        codes={"s3.key_denied"},
        during=before_s3(_no_decryption),
    ),
    Fault(
        name="tags may not be read",
        codes={"s3.tags_denied"},
        during=denied(
            "s3:GetObjectTagging", "s3:GetObjectVersionTagging", scan={"guardduty": True}
        ),
    ),
    Fault(
        name="objects carry no verdict",
        codes={"s3.not_scanned"},
        during=bucket(scan={"guardduty": True}),
    ),
    Fault(
        name="objects have no versions",
        codes={"s3.unversioned"},
        during=named("acme-plain", versioned=False),
    ),
    Fault(
        name="anyone may list the bucket",
        codes={"s3.open_to_the_world"},
        during=before_s3(_public),
    ),
    Fault(name="links are refused", codes={"s3.link_refused"}, during=before_s3(_no_links)),
    Fault(
        name="links lead to another region",
        codes={"s3.link_elsewhere"},
        during=before_s3(_elsewhere),
    ),
    Fault(
        name="links live longer than credentials",
        codes={"s3.links_cut_short"},
        during=bucket(expires_seconds=604_800),
    ),
    Fault(
        name="no region is named",
        codes={"s3.no_region", "s3.other_region", "queue.keys_refused"},
        during=changed(lambda config: config["s3"].pop("region")),
        environ={"AWS_REGION": None, "AWS_ENDPOINT_URL_STS": None},
    ),
    Fault(
        name="the key for CloudFront is none",
        codes={"s3.front_unusable"},
        during=fronted("no key"),
    ),
    Fault(
        name="CloudFront is not reached",
        codes={"s3.link_unanswered"},
        during=fronted(None),
    ),
    Fault(
        name="the queue does not exist", codes={"queue.missing"}, during=without_queue("arrivals")
    ),
    Fault(
        name="the dead-letter queue does not exist",
        codes={"queue.dead_letters_missing"},
        during=without_queue("arrivals-dead"),
    ),
    Fault(
        name="there is no dead-letter queue",
        codes={"queue.no_dead_letters"},
        during=no_dead_letters,
    ),
    Fault(
        name="messages come back too soon",
        codes={"queue.hidden_too_short"},
        during=with_queue("arrivals", VisibilityTimeout="5"),
    ),
    Fault(
        name="messages could not be followed",
        codes={"queue.dead_letters_waiting"},
        during=with_queue("arrivals-dead", ApproximateNumberOfMessages="3"),
    ),
    Fault(
        name="SQS does not take the keys",
        codes={"queue.keys_refused"},
        during=queue_says("InvalidClientTokenId"),
    ),
    Fault(name="the scanner is down", codes={"scanner.unreachable"}, during=scanner("down")),
    Fault(name="the scanner says nonsense", codes={"scanner.failed"}, during=scanner("garbage")),
    Fault(name="the scanner reads too little", codes={"scanner.limit"}, during=narrow_scanner),
]
