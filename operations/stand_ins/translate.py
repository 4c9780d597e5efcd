"""A stand-in for Amazon Translate, which marks a text with the language instead of translating."""

import json
from typing import Final

from chalicelib.languages import LANGUAGES
from operations.stand_ins import developer
from operations.stand_ins.service import Request, Response, ServiceError, StandIn, check_text

CONTENT_TYPE: Final = "application/x-amz-json-1.1"
TARGET: Final = "AWSShineFrontendService_20170701.TranslateText"

MAX_TEXT_BYTES: Final = 10_000
"""Source: "Guidelines and quotas", Amazon Translate Developer Guide."""


async def mark(request: Request) -> Response:
    """Answer TranslateText with the text behind the code of its language: `[es] Good morning`.

    Raises:
        ServiceError: The request is invalid. Source: TranslateText, Amazon Translate API Reference.
    """
    if request.headers.get("x-amz-target") != TARGET:
        raise ServiceError("UnknownOperationException", "Only TranslateText is supported")
    parameters = request.parse()
    text = check_text(parameters, "Text")
    source = check_text(parameters, "SourceLanguageCode")
    target = check_text(parameters, "TargetLanguageCode")
    if len(text.encode(errors="surrogatepass")) > MAX_TEXT_BYTES:
        raise ServiceError(
            "TextSizeLimitExceededException",
            f"Input text size exceeds limit. Max length of request text allowed is "
            f"{MAX_TEXT_BYTES} bytes",
        )
    if source not in LANGUAGES or target not in LANGUAGES:
        raise ServiceError(
            "UnsupportedLanguagePairException", f"Unsupported language pair: {source} to {target}"
        )
    answer = {
        "TranslatedText": f"[{target}] {text}",
        "SourceLanguageCode": source,
        "TargetLanguageCode": target,
    }
    return Response(200, CONTENT_TYPE, json.dumps(answer).encode())


app = StandIn(CONTENT_TYPE, developer.forward_to("translate") if developer.is_given() else mark)
