"""The settings of speech, which only the function `interpreter` needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from chalicelib.environment import SettingError

_LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class SpeechSettings:
    """Where the speech of captions is stored.

    Attributes:
        bucket: The bucket.
        url: The URL under which the bucket's objects are public, without a slash at its end.
    """

    bucket: str
    url: str


def read_speech_settings(environment: Mapping[str, str]) -> SpeechSettings | None:
    """Read the settings of speech. Without speech, the others are ignored.

    Returns:
        None if captions have no speech.

    Raises:
        SettingError: A setting is missing or invalid.
    """
    speech = environment.get("SPEECH") or "off"
    if speech not in ("off", "on"):
        raise SettingError(f"SPEECH must be off or on, not {speech!r}")
    if speech == "off":
        return None
    for name in ("MEDIA_BUCKET", "MEDIA_URL"):
        if not environment.get(name):
            raise SettingError(f"{name} is not set, but SPEECH is on")
    url = environment["MEDIA_URL"]
    if not _is_public_url(url, is_emulated=bool(environment.get("AWS_ENDPOINT_URL"))):
        raise SettingError(f"MEDIA_URL must be an https URL without query or fragment, not {url!r}")
    return SpeechSettings(environment["MEDIA_BUCKET"], url.rstrip("/"))


def _is_public_url(url: str, *, is_emulated: bool) -> bool:
    """Return whether clients can get objects below a URL.

    An emulator of AWS on this machine has no certificate.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    is_local = is_emulated and parts.scheme == "http" and host in _LOOPBACK_HOSTS
    is_plain = not (parts.query or parts.fragment or parts.username)
    return bool(host) and is_plain and (parts.scheme == "https" or is_local)
