"""Lines from elsewhere become fit to be shown."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate_agent.core import redaction

JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("key AKIAIOSFODNN7EXAMPLE in use", "AKIAIOSFODNN7EXAMPLE"),
        ("key ASIAIOSFODNN7EXAMPLE in use", "ASIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCY", "wJalrXUtnFEMI"),
        ("token xoxb-123-456-abcdef", "xoxb-123"),
        ("xapp-1-A0-123-abc", "xapp-1"),
        ("xoxe.xoxp-1-Mi0yLTEyMw", "Mi0yLTEyMw"),
        (f"got {JWT}", "eyJzdWIiOiJ4In0"),
        ("Authorization: Bearer abcdef0123456789", "abcdef0123456789"),
        ('{"authorization":"Basic dXNlcjpwYXNz"}', "dXNlcjpwYXNz"),
        ("postgres://shop:hunter2@db/orders", "hunter2"),
        ("redis://:hunter2@cache:6379", "hunter2"),
        ("DB_PASSWORD=hunter2", "hunter2"),
        ('{"password": "hunter2"}', "hunter2"),
        ("api-key: hunter2hunter2", "hunter2"),
        ("ghp_0123456789abcdefghijABCDEFGHIJ012345", "ghp_0123"),
        ("GET /x?X-Amz-Signature=abcdef&b=1", "abcdef"),
        ("https://hooks.slack.com/services/T0/B0/abcdefgh", "abcdefgh"),
        (r'{"msg":"{\"password\":\"hunter2\"}"}', "hunter2"),
        (r'{"msg":"{\\\"password\\\":\\\"hunter2\\\"}"}', "hunter2"),
        ("password:\t  hunter2", "hunter2"),
        ("password        => hunter2", "hunter2"),
        ('password="correct horse battery"', "battery"),
        (r'password="correct \" battery"', "battery"),
        ("password='hunter2;more'", "more"),
        ("password=hunter2,more", "more"),
        ("db.passphrase=hunter2", "hunter2"),
        ("PGPASS=hunter2", "hunter2"),
        ("run --password hunter2 now", "hunter2"),
        ("SECRET_KEY_BASE=hunter2", "hunter2"),
        ("AccountKey=hunter2==", "hunter2"),
        ("token%3Dhunter2", "hunter2"),
        ('"password":["hunter2"]', "hunter2"),
        ('"secret":{"value":"hunter2"}', "hunter2"),
        ("Authorization: Token hunter2", "hunter2"),
        ('"Authorization":["Bearer hunter2hunter2"]', "hunter2"),
        ("Authorization: Digest username=me, response=hunter2", "hunter2"),
        ("Cookie: a=b; session=hunter2", "hunter2"),
        ("pass\u200bword=hunter2", "hunter2"),
        ("glpat-abcdefghij0123456789", "abcdefghij"),
        ("sk_live_abcdefghijklmnop", "abcdefghij"),
        ("AIzaSyA1234567890abcdefghijklmnopqrstuv", "1234567890"),
        ("npm_abcdefghijklmnopqrstuvwxyz0123456789", "abcdefghij"),
        ("hvs.CAESIJabcdefghijk0123456789", "abcdefghij"),
        ("dckr_pat_abcdefghijklmnopqrstuvwxyz0", "abcdefghij"),
        ("postgres://user:p@ssw0rd@db/x", "ssw0rd"),
        ("postgres://user:hun/ter2@db/x", "ter2"),
        ("eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4", "eyJzdWIi"),
    ],
)
def test_a_secret_of_a_known_shape_is_struck_out(line: str, secret: str) -> None:
    told = redaction.line(line)
    assert secret not in told
    assert redaction.STRUCK in told


@pytest.mark.parametrize(
    "line",
    [
        "INFO GET /orders?page=2 200 14 ms",
        "connected to postgres://shop@db/orders",
        "user:name@example.com wrote https://example.com/a:b",
        "tokens used so far",
        "the secret is out",
        "sha256:" + "ab" * 32,
        "basic tier, bearer of news",
        "proxy to http://web:8080/x for me@example.com",
        "all tests pass: 12 of 12",
        "rolled out --token-ttl and --verbose",
    ],
)
def test_what_is_no_secret_stays(line: str) -> None:
    assert redaction.line(line) == line


KEY = [
    "-----BEGIN RSA PRIVATE KEY-----",
    "MIIEpAIBAAKCAQEA",
    "c2VjcmV0",
    "-----END RSA PRIVATE KEY-----",
]


def test_a_private_key_goes_as_a_whole() -> None:
    raw = "\n".join(["before", *KEY, "after"]).encode()
    assert redaction.lines(raw, most=10) == ("before", redaction.STRUCK, "after")


def test_a_private_key_with_times_before_its_lines_goes_as_a_whole() -> None:
    time_ = "2026-11-28T15:00:00.123456789Z "
    raw = "\n".join(time_ + line for line in ["before", *KEY, "after"]).encode()
    told = redaction.lines(raw, most=10)
    assert "c2VjcmV0" not in " ".join(told)
    assert told[0] == time_ + "before"
    assert told[-1] == time_ + "after"


def test_the_end_of_a_private_key_takes_along_what_was_read_of_it() -> None:
    raw = "\n".join([*KEY[1:], "after"]).encode()
    assert redaction.lines(raw, most=10) == (redaction.STRUCK, "after")


def test_a_private_key_on_one_line_goes_as_a_whole() -> None:
    raw = ('{"key": "' + "\\n".join(KEY) + '"}\nafter').encode()
    told = redaction.lines(raw, most=10)
    assert told == ('{"key": "' + redaction.STRUCK + '"}', "after")


def test_what_could_redraw_a_terminal_goes() -> None:
    assert redaction.line("\x1b[31mred\x1b[0m\x07 \x1b]0;title\x07x\u202etxt") == "red xtxt"


def test_only_the_last_lines_are_kept() -> None:
    assert redaction.lines(b"1\n2\n3\n\n", most=2) == ("2", "3")


@given(st.text(max_size=5000))
def test_every_line_is_bounded_and_on_one_line(text: str) -> None:
    told = redaction.line(text)
    assert len(told) <= redaction.MAX_LINE_CHARS
    assert not set(told) & {"\x1b", "\x00", "\r"}


@given(st.binary(max_size=3000), st.integers(1, 20))
def test_no_log_however_odd_can_raise(raw: bytes, most: int) -> None:
    assert len(redaction.lines(raw, most=most)) <= most


@pytest.mark.parametrize(
    "unit", ["a://", "eyJ", "password=", "bearer ", "xoxb-", "x" * 50 + ":", "\x1b[", "?sig=", "-"]
)
def test_no_line_takes_long(unit: str) -> None:
    text = unit * (4000 // len(unit))
    begun = time.perf_counter()
    for _ in range(20):
        redaction.line(text)
    assert time.perf_counter() - begun < 1.0


def test_the_rest_of_what_stands_beside_a_secret_stays() -> None:
    assert redaction.line("password=hunter2,user=me") == "password=[redacted],user=me"
    assert redaction.line('{"token":"x1y2z3","user":"me"}') == '{"token":[redacted],"user":"me"}'


def test_secrets_are_struck_out_before_a_line_is_cut() -> None:
    token = "eyJ" + "a" * 30 + "." + "b" * 1500 + "." + "c" * 43
    told = redaction.line(f"{token} {token} {token} password=hunter2")
    assert told == "[redacted] [redacted] [redacted] password=[redacted]"


def test_half_a_secret_at_the_end_of_what_was_looked_at_is_not_shown() -> None:
    token = "eyJ" + "a" * 4000 + "." + "b" * 8000 + "." + "c" * 4000
    told = redaction.line(" ".join([*[token] * 4, "x" * 1500, "password=hunter2"]))
    assert told == "[redacted] [redacted] [redacted] [redacted]…"
    assert len(redaction.line("x" * 100_000)) == redaction.MAX_LINE_CHARS


@pytest.mark.parametrize("prefix", ["INFO 12:00:01 app: ", "    ", "2026-11-28T15:00:00.1234567Z "])
def test_what_was_read_of_a_private_key_goes_whatever_stands_before_its_lines(
    prefix: str,
) -> None:
    body = ["A" * 64, "B" * 64, "c2VjcmV0"]
    key = [prefix + line for line in [*body, "-----END RSA PRIVATE KEY-----"]]
    raw = "\n".join([f"{prefix}all is well, so far", *key, "after"]).encode()
    assert redaction.lines(raw, most=10) == (
        f"{prefix}all is well, so far",
        redaction.STRUCK,
        "after",
    )
