"""Cognito's SRP, which proves a password without sending it.

Source: RFC 5054, group of 3072 bits; amazon-cognito-identity-js, AuthenticationHelper.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Final

N: Final = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F"
    "83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B"
    "E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510"
    "15728E5A8AAAC42DAD33170D04507A33A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7"
    "ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864D87602733EC86A64521F2B18177B200C"
    "BBE117577A615D6C770988C0BAD946E208E24FA074E5AB3143DB5BFCE0FD108E4B82D120A93AD2CAFFFFFFFFFFFFFFFF",
    16,
)
G: Final = 2


class SrpProof:
    """One proof of a password.

    Attributes:
        public: The client's public value, as `SRP_A` of `InitiateAuth`.
    """

    def __init__(self, user_pool_id: str) -> None:
        self._pool_name = user_pool_id.partition("_")[2]
        self._private = secrets.randbelow(N)
        self._public = pow(G, self._private, N)
        self.public = f"{self._public:x}"

    def responses(
        self, challenge: Mapping[str, str], password: str, now: datetime
    ) -> dict[str, str]:
        """Return the responses to the challenge `PASSWORD_VERIFIER`.

        Args:
            challenge: The challenge's parameters.
            password: The user's password.
            now: The time in UTC.
        """
        user_id, block = challenge["USER_ID_FOR_SRP"], challenge["SECRET_BLOCK"]
        name = f"{self._pool_name}{user_id}"
        timestamp = f"{now:%a %b} {now.day} {now:%H:%M:%S UTC %Y}"
        key = self._session_key(challenge, f"{name}:{password}")
        signed = name.encode() + base64.b64decode(block) + timestamp.encode()
        signature = hmac.digest(key, signed, "sha256")
        return {
            "USERNAME": user_id,
            "PASSWORD_CLAIM_SECRET_BLOCK": block,
            "PASSWORD_CLAIM_SIGNATURE": base64.b64encode(signature).decode(),
            "TIMESTAMP": timestamp,
        }

    def _session_key(self, challenge: Mapping[str, str], identity: str) -> bytes:
        server, salt = int(challenge["SRP_B"], 16), int(challenge["SALT"], 16)
        x = _hash(_padded(salt) + hashlib.sha256(identity.encode()).digest())
        u, k = _hash(_padded(self._public) + _padded(server)), _hash(_padded(N) + _padded(G))
        secret = pow(server - k * pow(G, x, N), self._private + u * x, N)
        extracted = hmac.digest(_padded(u), _padded(secret), "sha256")
        return hmac.digest(extracted, b"Caldera Derived Key\x01", "sha256")[:16]


def _hash(data: bytes) -> int:
    return int.from_bytes(hashlib.sha256(data).digest(), "big")


def _padded(number: int) -> bytes:
    """Encode a positive integer as in DER, in which the highest bit is 0."""
    return number.to_bytes(number.bit_length() // 8 + 1, "big")
