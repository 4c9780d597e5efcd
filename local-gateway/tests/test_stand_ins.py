"""Stand-ins of a project for services of the embedded AWS."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from gateway_support.serving import Server, serving, write_project
from local_gateway import aws, stand_ins
from local_gateway.stand_ins import endpoint_variable

APP = """
import os
import boto3
from chalice import Chalice
app = Chalice("x")
app.experimental_feature_flags.update(["WEBSOCKETS"])


@app.on_ws_message()
def message(event):
    translate = boto3.client("translate", region_name="us-east-1")
    answer = translate.translate_text(
        Text=event.body, SourceLanguageCode="en", TargetLanguageCode="de"
    )
    return {"body": answer["TranslatedText"]}
"""

STAND_IN = """
import json


async def app(scope, receive, send):
    assert (scope["path"], scope["root_path"][-10:]) == ("/", "/translate")
    text = json.loads((await receive())["body"])["Text"]
    body = json.dumps({"TranslatedText": text[::-1]}).encode()
    headers = [(b"content-type", b"application/x-amz-json-1.1")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""


def project(folder: Path, **aws: Any) -> Path:
    config = {
        "app_name": "x",
        "websocket_api": {"route_responses": ["$default"]},
        "local_gateway": {"aws": {"stand_ins": {"translate": "stand_in:app"}, **aws}},
    }
    return write_project(folder, APP, json.dumps(config))


def test_a_stand_in_responds_to_the_applications_sdk(tmp_path: Path) -> None:
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    with (
        serving(project(tmp_path), "--no-reload", has_aws=True) as server,
        server.connect() as client,
    ):
        client.send("hello")
        assert client.recv(timeout=15) == "olleh"


FUNCTION = """
import boto3


def handler(event, context):
    translate = boto3.client("translate")
    answer = translate.translate_text(Text=event, SourceLanguageCode="en", TargetLanguageCode="de")
    return answer["TranslatedText"]
"""


def test_a_stand_in_responds_to_the_sdk_of_a_function_of_the_emulator(tmp_path: Path) -> None:
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("function.py", FUNCTION)
    settings = stand_ins.settings(tmp_path, {"translate": "stand_in:app"})
    with aws.ministack(**settings) as endpoint_url:
        lambda_ = aws.client("lambda", endpoint_url)
        lambda_.create_function(
            FunctionName="translator",
            Runtime="python3.11",
            Role="arn:aws:iam::000000000000:role/translator",
            Handler="function.handler",
            Code={"ZipFile": package.getvalue()},
            Timeout=20,
        )
        answer = lambda_.invoke(FunctionName="translator", Payload=json.dumps("hello"))
        assert json.load(answer["Payload"]) == "olleh"


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("", "module 'stand_in' has no attribute 'app'"),
        ("app = 5", "it isn't an ASGI application"),
        ("import nowhere_to_be_found", "No module named 'nowhere_to_be_found'"),
        (None, "No module named 'stand_in'"),
    ],
)
def test_a_stand_in_that_cannot_be_found_is_reported_in_one_line(
    tmp_path: Path, module: str | None, reason: str
) -> None:
    if module is not None:
        (tmp_path / "stand_in.py").write_text(module)
    server = Server(project(tmp_path), "--no-reload", has_aws=True)
    assert server.process.wait(30) == 1
    assert server.err.join() == (
        f"chalice-local-gateway: local_gateway.aws.stand_ins.translate: stand_in:app: {reason}\n"
    )


def test_an_error_of_a_stand_ins_module_has_its_traceback(tmp_path: Path) -> None:
    (tmp_path / "stand_in.py").write_text("VOICES = {}\nVOICES['anna']\n")
    server = Server(project(tmp_path), "--no-reload", has_aws=True)
    assert server.process.wait(60) == 1
    said = server.err.join()
    assert "KeyError: 'anna'" in said
    assert 'stand_in.py", line 2' in said


def test_the_endpoint_variable_is_the_sdks() -> None:
    assert endpoint_variable("translate") == "AWS_ENDPOINT_URL_TRANSLATE"
    assert endpoint_variable("Cognito Identity") == "AWS_ENDPOINT_URL_COGNITO_IDENTITY"
