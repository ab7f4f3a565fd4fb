"""The calls that the product makes to AWS, recorded at a far end that answers all of them.

Every public method of an adapter is used once with what makes it ask differently (a version or
none). What service a request is for stands in its signature, so that nothing is listed by hand
but AWS's own names for the rights.
"""

import ast
import contextlib
import inspect
import re
import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from aiohttp import web

from tests.deploy.cloudformation.templates import ROOT
from tidegate.adapters.credentials import GivenCredentials
from tidegate.core.sigv4 import Credentials

ADAPTERS: Final = ROOT / "src/tidegate/adapters"
BUCKET: Final = "acme-reports"
ACCESS_KEY: Final = "AKIARECORDED"
_SCOPE: Final = re.compile(r"Credential=[^/]+/\d{8}/[a-z0-9-]+/([a-z0-9-]+)/aws4_request")
_LIST: Final = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
_TAGS: Final = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
_ROLE: Final = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleResult><Credentials><AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s</SecretAccessKey>
<SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>
</AssumeRoleResult></AssumeRoleResponse>"""
_TOKEN: Final = """<GetWebIdentityTokenResponse><GetWebIdentityTokenResult>
<WebIdentityToken>a.b.c</WebIdentityToken><Expiration>2099-01-01T00:00:00Z</Expiration>
</GetWebIdentityTokenResult></GetWebIdentityTokenResponse>"""
_CALLER: Final = (
    "<GetCallerIdentityResponse><Arn>arn:aws:iam::1:user/x</Arn></GetCallerIdentityResponse>"
)


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was signed.

    Attributes:
        service: What it was signed for.
        method: The HTTP method.
        path: Its path.
        query: Its query.
        target: The operation, where a header or the body names it.
    """

    service: str
    method: str
    path: str
    query: Mapping[str, str]
    target: str

    @property
    def right(self) -> str | None:
        """The right that it takes, by AWS's name; None where it takes none.

        https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html
        """
        match self.service:
            case "s3":
                return self._of_s3()
            case "sqs":  # a right to do it to one message is one to do it to several
                return f"sqs:{self.target.removesuffix('Batch')}"
            case "sts" if self.target == "GetCallerIdentity":
                return None
            case "execute-api":
                return "execute-api:Invoke"
            case _:
                return f"{self.service}:{self.target}"

    def _of_s3(self) -> str:
        which = "Version" if self.query.get("versionId") else ""
        key = self.path.removeprefix(f"/{BUCKET}").strip("/")
        match self.method, key, "tagging" in self.query:
            case (("GET" | "HEAD"), "", False):
                return "s3:ListBucket"
            case "GET", _, True:
                return f"s3:GetObject{which}Tagging"
            case (("GET" | "HEAD"), _, False):
                return f"s3:GetObject{which}"
            case other:
                raise AssertionError(f"nobody knows what right S3 asks for {other}")


@dataclass(slots=True)
class FarEnd:
    """Answers like AWS, to whatever is asked well."""

    url: str = ""
    calls: list[Call] = field(default_factory=list)

    @property
    def rights(self) -> set[str]:
        """Return the rights that were used."""
        return {call.right for call in self.calls if call.right is not None}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = (await request.read()).decode()
        query = dict(request.query)
        said = request.headers.get("Authorization", "") or (
            f"Credential={query.get('X-Amz-Credential', '')}"
        )
        found = _SCOPE.search(said)
        assert found is not None, f"nobody signed {request.method} {request.path_qs}"
        form = dict(urllib.parse.parse_qsl(body)) if found[1] == "sts" else {}
        target = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        call = Call(found[1], request.method, request.path, query, form.get("Action") or target)
        self.calls.append(call)
        return _answer(request, call)


def _answer(request: web.Request, call: Call) -> web.Response:
    match call.service:
        case "s3" if call.right == "s3:ListBucket":
            return web.Response(text=_LIST, content_type="application/xml")
        case "s3" if "tagging" in call.query:
            return web.Response(text=_TAGS, content_type="application/xml")
        case "s3":
            headers = {"ETag": '"e"', "x-amz-version-id": call.query.get("versionId", "v1")}
            if "Range" in request.headers:
                headers["Content-Range"] = "bytes 0-2/3"
            status = 206 if "Range" in request.headers else 200
            return web.Response(body=b"abc", headers=headers, status=status)
        case "sqs":
            message = {"ReceiptHandle": "r", "Body": "{}"}
            content: Mapping[str, Any] = {"Messages": [message], "Attributes": {}}
            return web.json_response(content)
        case "secretsmanager":
            return web.json_response({"SecretString": "value"})
        case "sts":
            xml = {"AssumeRole": _ROLE, "GetWebIdentityToken": _TOKEN}.get(call.target, _CALLER)
            return web.Response(text=xml, content_type="text/xml")
        case _:
            return web.json_response({})


@contextlib.asynccontextmanager
async def recorded() -> AsyncIterator[FarEnd]:
    """Record what is asked while the block runs."""
    found = FarEnd()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", found.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield found
    finally:
        await runner.cleanup()


class Source(GivenCredentials):
    """Keys that nobody refuses."""

    def discard(self, refused: Credentials) -> None:
        """Keep them."""


Drive = Callable[[], Awaitable[object]]


async def drive(adapter: object, ways: Mapping[str, tuple[Drive, ...]]) -> None:
    """Use every public method of an adapter; one that is new has to be told how."""
    methods = {
        name
        for name, each in inspect.getmembers(type(adapter), callable)
        if not name.startswith("_")
    }
    assert methods == set(ways), f"how is {methods ^ set(ways)} used?"
    for each in ways.values():
        for way in each:
            await way()


@cache
def signing_modules() -> frozenset[str]:
    """Return the adapters that sign requests, themselves or by botocore."""
    found = set()
    for path in ADAPTERS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.ImportFrom(module="tidegate.core.sigv4", names=names):
                    signs = any(each.name == "Signer" for each in names)
                case ast.ImportFrom(module=str(module)):
                    signs = module.partition(".")[0] in ("botocore", "boto3")
                case ast.Import(names=names):
                    signs = any(e.name.partition(".")[0] in ("botocore", "boto3") for e in names)
                case _:
                    signs = False
            if signs:
                found.add(path.relative_to(ADAPTERS).with_suffix("").as_posix())
    return frozenset(found)


def environment(url: str) -> dict[str, str]:
    """Return what botocore reads, so that it asks the far end and nobody else."""
    return {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": url,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
