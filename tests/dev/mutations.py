"""Every single thing about a signed request that somebody could change on its way."""

from collections.abc import Iterator
from dataclasses import replace

from tidegate_dev.sigv4_check import ReceivedRequest

Change = tuple[str, ReceivedRequest]


def single_changes(request: ReceivedRequest) -> Iterator[Change]:
    """Yield what was changed, in a word, and the request with that one change."""
    yield from _changes_of_line(request)
    yield from _changes_of_body(request)
    for name in dict.fromkeys(name for name, _ in request.headers):
        if name != b"authorization":
            yield from _changes_of_header(request, name)
    yield from _changes_of_authorization(request)


def with_header(request: ReceivedRequest, name: bytes, *values: bytes) -> ReceivedRequest:
    """Return the request with *values* as all there is of a header."""
    kept = [(sent, value) for sent, value in request.headers if sent != name]
    return replace(request, headers=[*kept, *((name, value) for value in values)])


def _changes_of_line(request: ReceivedRequest) -> Iterator[Change]:
    yield "method", replace(request, method="DELETE" if request.method != "DELETE" else "POST")
    yield "path longer", replace(request, raw_path=request.raw_path + b"/x")
    yield "path another", replace(request, raw_path=b"/another/path")
    yield "path escaped", replace(request, raw_path=request.raw_path + b"/%2e")
    pairs = [pair for pair in request.raw_query.split(b"&") if pair]
    yield "query longer", replace(request, raw_query=b"&".join([*pairs, b"zz=1"]))
    for number, pair in enumerate(pairs):
        name, _, value = pair.partition(b"=")
        rest = pairs[:number] + pairs[number + 1 :]
        for word, other in (
            ("query value", [name + b"=" + value + b"x"]),
            ("query name", [b"x" + name + b"=" + value]),
            ("query shorter", []),
        ):
            yield word, replace(request, raw_query=b"&".join([*rest, *other]))


def _changes_of_body(request: ReceivedRequest) -> Iterator[Change]:
    yield "body longer", replace(request, body=request.body + b" ")
    if request.body:
        yield "body shorter", replace(request, body=request.body[:-1])
        flipped = bytes([request.body[0] ^ 1]) + request.body[1:]
        yield "body flipped", replace(request, body=flipped)


def _changes_of_header(request: ReceivedRequest, name: bytes) -> Iterator[Change]:
    """Yield a header changed, doubled and gone, where the signature speaks of it."""
    [authorization] = request.values(b"authorization")
    signed = authorization.partition(b"SignedHeaders=")[2].partition(b",")[0].split(b";")
    if name not in signed:
        return
    word = name.decode("latin-1")
    values = request.values(name)
    yield f"{word} changed", with_header(request, name, values[0] + b"x", *values[1:])
    yield f"{word} doubled", with_header(request, name, *values, b"x")
    yield f"{word} gone", with_header(request, name)


def _changes_of_authorization(request: ReceivedRequest) -> Iterator[Change]:
    [authorization] = request.values(b"authorization")
    scheme, _, rest = authorization.partition(b" ")
    credential, names, signature = (part.partition(b"=")[2] for part in rest.split(b", "))
    access_key, date, region, service, end = credential.split(b"/")

    def other(*, scope: bytes = credential, of: bytes = names, by: bytes = signature) -> Change:
        made = b"%s Credential=%s, SignedHeaders=%s, Signature=%s" % (scheme, scope, of, by)
        return "", with_header(request, b"authorization", made)

    def scoped(*parts: bytes) -> Change:
        return other(scope=b"/".join(parts))

    day = b"%08d" % (int(date) + 1)
    flipped = signature[:-1] + (b"0" if signature[-1:] != b"0" else b"1")
    listed = names.split(b";")
    for word, (_, changed) in {
        "scope key": scoped(access_key + b"X", date, region, service, end),
        "scope date": scoped(access_key, day, region, service, end),
        "scope region": scoped(access_key, date, region + b"-x", service, end),
        "scope service": scoped(access_key, date, region, b"s3", end),
        "scope end": scoped(access_key, date, region, service, b"aws5_request"),
        "scope shorter": scoped(access_key, date, region, service),
        "scope longer": scoped(access_key, date, region, service, end, b"x"),
        "signature": other(by=flipped),
        "signature shorter": other(by=signature[:-1]),
        "signature in capitals": other(by=b"A" + signature[1:].upper()),
        "no signature": other(by=b""),
        "a name more": other(of=b";".join(sorted([*listed, b"zz"]))),
        "names turned": other(of=b";".join(reversed(listed))),
        "no names": other(of=b""),
    }.items():
        yield word, changed
    for name in listed:
        fewer = b";".join(each for each in listed if each != name)
        yield f"{name.decode()} not signed", other(of=fewer)[1]
    yield "twice", with_header(request, b"authorization", authorization, authorization)
    yield "scheme", with_header(request, b"authorization", b"AWS4-HMAC-SHA512 " + rest)
    yield "unsigned", with_header(request, b"authorization")
    if not request.values(b"x-amz-security-token"):
        yield "token made up", with_header(request, b"x-amz-security-token", b"made-up")
