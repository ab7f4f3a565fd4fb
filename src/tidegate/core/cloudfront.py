"""Signed CloudFront URLs: links that end when they say, whatever becomes of AWS credentials.

Pure: what signs is given. A custom policy is used, so that what is signed stands in the URL.

Source: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-creating-signed-url-custom-policy.html
"""

import base64
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import quote

import msgspec

_AS_IN_URLS: Final = bytes.maketrans(b"+=/", b"-_~")


def signed_url(
    *,
    domain: str,
    key: str,
    query: Iterable[tuple[str, str]],
    expires_at: int,
    key_pair_id: str,
    sign: Callable[[bytes], bytes],
) -> str:
    """Return a URL by which anyone may read an object until *expires_at*.

    The distribution has to pass the names in *query* on to S3, or S3 does not act on them.

    Args:
        domain: The distribution's, or another name it answers to.
        key: The object's whole key.
        query: Decoded names and values that S3 is to act on, such as `versionId`.
        expires_at: Seconds since the Unix epoch.
        key_pair_id: Which of the distribution's trusted keys verifies it.
        sign: Signs with SHA-256, by RSA (PKCS #1 v1.5) or ECDSA (DER).
    """
    pairs = "&".join(f"{_encode(name)}={_encode(value)}" for name, value in query)
    url = f"https://{domain}/{quote(key, safe='/-_.~')}{'?' if pairs else ''}{pairs}"
    policy = msgspec.json.encode(
        {
            "Statement": [
                {
                    "Resource": url,
                    "Condition": {"DateLessThan": {"AWS:EpochTime": expires_at}},
                }
            ]
        }
    )
    joint = "&" if pairs else "?"
    return (
        f"{url}{joint}Policy={_as_in_url(policy)}&Signature={_as_in_url(sign(policy))}"
        f"&Key-Pair-Id={_encode(key_pair_id)}&Hash-Algorithm=SHA256"
    )


def _as_in_url(value: bytes) -> str:
    return base64.b64encode(value).translate(_AS_IN_URLS).decode()


def _encode(text: str) -> str:
    return quote(text, safe="-_.~")
