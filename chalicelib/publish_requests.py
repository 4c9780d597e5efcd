"""The requests of pipelines that publish captions, which come as Lambda events.

Only IAM admits their senders.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from chalicelib import messages, telemetry
from chalicelib.aws.retries import event_budget
from chalicelib.errors import InvalidParameters
from chalicelib.fields import (
    Fields,
    find_whole_number,
    missing,
    read_caption_text,
    read_language,
    read_session_id,
    read_text,
)
from chalicelib.models import Audio, Caption
from chalicelib.publishing import Published, Publishing
from chalicelib.refusals import to_refusal

MAX_CAPTIONS: Final = 10
"""The captions of one request."""

MAX_URL_CHARACTERS: Final = 2048

MAX_EVENT_BYTES: Final = 6 * 1024 * 1024
"""The longest request to a function. Source: "Lambda quotas", AWS Lambda Developer Guide."""


class PublishRequest(NamedTuple):
    """A request to publish captions in one language of a session."""

    session_id: str
    language: str
    captions: tuple[Caption, ...]


def answer(publishing: Publishing, event: Mapping[str, Any]) -> dict[str, Any]:
    """Publish the captions of a pipeline's request.

    Returns:
        The result, or the error under `error`, as docs/reference/pipeline.md defines them.
    """
    with telemetry.handled("publish", is_clients=False) as record, event_budget():
        try:
            request = parse(event)
            published = publishing.publish(*request)
            # Until now, the session ID can be any text of that form.
            telemetry.follow(request.session_id, request.session_id)
            return _result(published)
        except Exception as error:
            refused: Any = messages.error(record.refused(to_refusal(error)))
            return {"error": {name: refused[name] for name in refused if name != "type"}}


def _result(published: Published) -> dict[str, Any]:
    return {**published._asdict(), "seqs": list(published.seqs)}


def parse(event: object) -> PublishRequest:
    """Parse a request.

    Raises:
        InvalidParameters: A parameter is missing or malformed.
        InvalidSessionId: The session ID is malformed.
        UnsupportedLanguage: The language is not supported.
    """
    fields = _object(event, "event")
    session_id = read_session_id(fields)
    language = read_language(fields, "language")
    captions = fields.get("captions")
    if not isinstance(captions, list) or not 1 <= len(captions) <= MAX_CAPTIONS:
        raise InvalidParameters(
            f"captions must be a list of 1 to {MAX_CAPTIONS} captions.", field="captions"
        )
    return PublishRequest(
        session_id,
        language,
        tuple(_parse_in_list(each, f"captions[{key}]") for key, each in enumerate(captions)),
    )


def _parse_in_list(value: object, path: str) -> Caption:
    fields = _object(value, path)
    with _inside(path):
        return _parse_caption(fields)


def _parse_caption(fields: Fields) -> Caption:
    started_at_ms = find_whole_number(fields, "startedAt")
    if started_at_ms is None:
        raise missing("startedAt")
    return Caption(
        caption_id=read_text(fields, "captionId"),
        text=read_caption_text(fields),
        started_at_ms=started_at_ms,
        duration_ms=find_whole_number(fields, "durationMs"),
        audio=_parse_audio(fields["audio"]) if "audio" in fields else None,
    )


def _parse_audio(value: object) -> Audio:
    fields = _object(value, "audio")
    if ("url" in fields) == ("data" in fields):
        raise InvalidParameters("audio must have either a url or data.", field="audio")
    with _inside("audio"):
        return _parse_url_or_data(fields)


def _parse_url_or_data(fields: Fields) -> Audio:
    if "url" in fields:
        return Audio(url=_https_url(fields))
    content_type = read_text(fields, "contentType")
    if not content_type.startswith("audio/"):
        raise InvalidParameters("contentType must begin with audio/.", field="contentType")
    return Audio(data=_base64(fields), content_type=content_type)


def _https_url(fields: Fields) -> str:
    url = read_text(fields, "url", max_characters=MAX_URL_CHARACTERS)
    try:
        parts = urlsplit(url)
        is_https = parts.scheme == "https" and bool(parts.hostname)
    except ValueError:
        is_https = False
    if not is_https or " " in url:
        raise InvalidParameters("url must be an https URL.", field="url")
    return url


def _base64(fields: Fields) -> str:
    # Whether it fits into a message depends on the whole caption.
    data = read_text(fields, "data", max_characters=MAX_EVENT_BYTES)
    try:
        base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidParameters("data must be base64.", field="data") from None
    return data


@contextmanager
def _inside(path: str) -> Iterator[None]:
    """Put the path of an object before the name of its parameter at fault."""
    try:
        yield
    except InvalidParameters as error:
        raise InvalidParameters(f"{path}.{error.message}", field=f"{path}.{error.field}") from None


def _object(value: object, name: str) -> Fields:
    if not isinstance(value, dict):
        raise InvalidParameters(f"{name} must be an object.", field=name)
    return value
