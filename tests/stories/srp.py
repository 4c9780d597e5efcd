"""Cognito's SRP sign-in, which client libraries use to prove a password without sending it.

Source: RFC 5054, group of 3072 bits; amazon-cognito-identity-js, AuthenticationHelper.
"""

import base64
import hashlib
import hmac
import secrets
from datetime import UTC, datetime
from typing import Any

N = int(
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
G = 2


def sign_in(cognito: Any, pool_id: str, client_id: str, username: str, password: str) -> Any:
    """Return Cognito's AuthenticationResult.

    Raises:
        NotAuthorizedException: The password is wrong.
    """
    private = secrets.randbelow(N)
    public = pow(G, private, N)
    started = cognito.initiate_auth(
        ClientId=client_id,
        AuthFlow="USER_SRP_AUTH",
        AuthParameters={"USERNAME": username, "SRP_A": f"{public:x}"},
    )
    challenge = started["ChallengeParameters"]
    user_id, block = challenge["USER_ID_FOR_SRP"], challenge["SECRET_BLOCK"]
    pool_name = pool_id.split("_")[1]
    key = _session_key(challenge, private, public, f"{pool_name}{user_id}:{password}")
    now = f"{datetime.now(UTC):%a %b} {datetime.now(UTC).day} {datetime.now(UTC):%H:%M:%S UTC %Y}"
    signed = f"{pool_name}{user_id}".encode() + base64.b64decode(block) + now.encode()
    signature = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    return cognito.respond_to_auth_challenge(
        ClientId=client_id,
        ChallengeName=started["ChallengeName"],
        ChallengeResponses={
            "USERNAME": user_id,
            "PASSWORD_CLAIM_SECRET_BLOCK": block,
            "PASSWORD_CLAIM_SIGNATURE": signature,
            "TIMESTAMP": now,
        },
    )["AuthenticationResult"]


def _session_key(challenge: dict[str, str], private: int, public: int, identity: str) -> bytes:
    server, salt = int(challenge["SRP_B"], 16), int(challenge["SALT"], 16)
    inner = hashlib.sha256(identity.encode()).digest()
    x = _hash(_padded(salt) + inner)
    u, k = _hash(_padded(public) + _padded(server)), _hash(_padded(N) + _padded(G))
    secret = pow(server - k * pow(G, x, N), private + u * x, N)
    extracted = hmac.digest(_padded(u), _padded(secret), "sha256")
    return hmac.digest(extracted, b"Caldera Derived Key\x01", "sha256")[:16]


def _hash(data: bytes) -> int:
    return int.from_bytes(hashlib.sha256(data).digest(), "big")


def _padded(number: int) -> bytes:
    """Encode a positive integer as in DER, in which the highest bit is 0."""
    return number.to_bytes(number.bit_length() // 8 + 1, "big")
