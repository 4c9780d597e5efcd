"""Amazon Translate's TranslateText."""

import json
from typing import Final

from chalicelib.aws.calls import CallFailed, Calls, Client

_HEADERS: Final = {
    "content-type": "application/x-amz-json-1.1",
    "x-amz-target": "AWSShineFrontendService_20170701.TranslateText",
}


class Translate:
    """Translates texts. Thread-safe.

    Source: TranslateText, Amazon Translate API Reference.
    """

    def __init__(self, client: Client) -> None:
        """Send requests through this client."""
        self._calls = Calls(client)

    def translate(self, text: str, source: str, target: str, ends_at: float) -> str:
        """Translate a text.

        Args:
            text: The text, of at most 10,000 bytes.
            source: The code of the text's language.
            target: The code of another language.
            ends_at: The monotonic time at which to give up.

        Raises:
            CallFailed: There is no translation in time. The code is `InvalidAnswer` for a success
                without a text.
        """
        request = {"Text": text, "SourceLanguageCode": source, "TargetLanguageCode": target}
        answer = self._calls.call("POST", "/", json.dumps(request).encode(), _HEADERS, ends_at)
        translated = _find_text(answer.body)
        if not translated:
            raise CallFailed("InvalidAnswer")
        return translated


def _find_text(body: bytes) -> str:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    text = parsed.get("TranslatedText") if isinstance(parsed, dict) else None
    return text.strip() if isinstance(text, str) else ""
