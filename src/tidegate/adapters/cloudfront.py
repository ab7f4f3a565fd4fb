"""Links through a CloudFront distribution in front of a bucket."""

from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tidegate.core.cloudfront import signed_url
from tidegate.core.share import Object, disposition
from tidegate.errors import SecretError
from tidegate.ports import Clock, Link

RSA_BITS: Final = 2048


class CloudFront:
    """Makes links with the private half of a key that the distribution trusts.

    Args:
        domain: The distribution's.
        key_pair_id: The public key's id in CloudFront.
        private_key: PEM of an RSA key of 2,048 bits, or of an ECDSA key on P-256.
        clock: The time.

    Raises:
        SecretError: The private key is not such a one.
    """

    def __init__(self, *, domain: str, key_pair_id: str, private_key: bytes, clock: Clock) -> None:
        self._domain = domain
        self._key_pair_id = key_pair_id
        self._key = _private_key(private_key)
        self._clock = clock

    def link(self, found: Object, *, seconds: int, name: str) -> Link:
        """Return a link that saves the object under a name."""
        query = [("response-content-disposition", disposition(name))]
        if found.version_id:
            query.append(("versionId", found.version_id))
        expires_at = int(self._clock.now()) + seconds
        url = signed_url(
            domain=self._domain,
            key=found.key,
            query=query,
            expires_at=expires_at,
            key_pair_id=self._key_pair_id,
            sign=self._sign,
        )
        return Link(url=url, expires_at=float(expires_at))

    def _sign(self, message: bytes) -> bytes:
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(message, padding.PKCS1v15(), SHA256())
        return self._key.sign(message, ec.ECDSA(SHA256()))


def _private_key(pem: bytes) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    """Return a key of the two kinds that CloudFront takes."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SecretError("the CloudFront key is not a private key in PEM") from None
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size == RSA_BITS:
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise SecretError("the CloudFront key is neither RSA with 2,048 bits nor ECDSA on P-256")
