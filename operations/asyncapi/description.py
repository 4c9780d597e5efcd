"""The AsyncAPI description of the protocol.

Source: "AsyncAPI Specification 3.0.0", asyncapi.com.
"""

import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

import yaml

from chalicelib import commands, protocol
from chalicelib.models import Role
from operations.asyncapi.examples import read_examples
from operations.asyncapi.schemas import Schema, forms_of, list_schemas, name_of

ROOT: Final = Path(__file__).parents[2]

HEADER: Final = "# Generated from chalicelib/protocol.py by `make asyncapi`.\n"

_INFO: Final = """\
The messages between the service and its clients. All are JSON objects in text frames.

Clients ignore messages and fields that they don't know. The page "Protocol" of the documentation
explains when each message is sent, and which limits apply.
"""

_CHANNEL: Final = """\
One WebSocket connection. A client sends commands in frames. It can also send `createSession`,
`joinSession` or `refreshConnection` in the connect URL: the service then refuses the handshake with
the HTTP status of the error, or sends the outcome as soon as the connection is open.
"""

_REFUSALS: Final = ("error", "gatewayError")

_SECURITY: Final = {
    "token": {
        "type": "httpApiKey",
        "description": "A speaker's Cognito ID token or access token.",
        "in": "query",
        "name": "token",
    },
    "bearer": {
        "type": "http",
        "description": "The same token, for clients that can set headers.",
        "scheme": "bearer",
        "bearerFormat": "JWT",
    },
}


def encode(description: dict[str, Any]) -> str:
    """Encode a description as YAML."""
    text: str = yaml.dump(
        description, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100
    )
    return HEADER + text


def describe() -> dict[str, Any]:
    """Return the description."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    schemas, messages = list_schemas(), _messages()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Broadcast sessions",
            "version": project["version"],
            "description": _INFO,
            "license": {
                "name": project["license"],
                "url": f"https://spdx.org/licenses/{project['license']}.html",
            },
        },
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": {"connection": _channel(schemas, messages)},
        "operations": {**_commands(schemas), "notify": _notify()},
        "components": {
            "schemas": schemas,
            "messages": messages,
            "correlationIds": {
                "requestId": {
                    "description": "The outcome or the error repeats the command's `requestId`.",
                    "location": "$message.payload#/requestId",
                }
            },
            "securitySchemes": _SECURITY,
        },
    }


def _servers() -> dict[str, Any]:
    return {
        "aws": {
            "host": "{apiId}.execute-api.{region}.amazonaws.com",
            "protocol": "wss",
            "description": "A stage on AWS. `make output STAGE=dev NAME=url` prints its URL.",
            "variables": {
                "apiId": {"description": "The ID of the stage's API."},
                "region": {"description": "The stage's region.", "default": "us-east-1"},
            },
        },
        "local": {
            "host": "127.0.0.1:{port}",
            "protocol": "ws",
            "description": "The local server, which `make local` runs. Its stage is `local`.",
            "variables": {"port": {"description": "The port.", "default": "8000"}},
        },
    }


def _channel(schemas: dict[str, Schema], messages: dict[str, Any]) -> dict[str, Any]:
    return {
        "address": "/{stage}",
        "description": _CHANNEL,
        "parameters": {"stage": {"description": "The stage.", "default": "local"}},
        "messages": {name: _component("messages", name) for name in messages},
        "bindings": {"ws": _handshake(schemas)},
    }


def _handshake(schemas: dict[str, Schema]) -> dict[str, Any]:
    """Describe the connect URL: a token, and the parameters of the commands that it can carry."""
    query: dict[str, Schema] = {
        "token": {"type": "string", "description": "A speaker's token."},
        "action": {"type": "string", "enum": list(commands.CONNECT_ACTIONS)},
        "role": {"type": "string", "enum": [str(role) for role in Role]},
    }
    for exchange in protocol.EXCHANGES:
        if name_of(exchange.command) in commands.CONNECT_ACTIONS:
            for name, field in schemas[exchange.command.__name__]["properties"].items():
                query.setdefault(name, field)
    authorization = {"type": "string", "description": "`Bearer` and a speaker's token."}
    return {
        "method": "GET",
        "query": {"type": "object", "properties": query},
        "headers": {"type": "object", "properties": {"Authorization": authorization}},
        "bindingVersion": "0.1.0",
    }


def _messages() -> dict[str, Any]:
    correlated = [it.command for it in protocol.EXCHANGES]
    correlated += [form for it in protocol.EXCHANGES for form in forms_of(it.outcome)]
    correlated.append(protocol.ErrorMessage)
    by_name: dict[str, dict[str, Any]] = defaultdict(dict)
    for form in (*correlated, *protocol.NOTICES, protocol.GatewayError):
        by_name[name_of(form)][form.__name__] = form
    return {name: _message(name, forms, correlated) for name, forms in by_name.items()}


def _message(name: str, forms: dict[str, Any], correlated: list[Any]) -> dict[str, Any]:
    payloads = [_component("schemas", each) for each in forms]
    examples = [
        {"name": example.client, "payload": example.payload}
        for example in read_examples()
        if name == example.payload.get("action" if example.is_command else "type")
    ]
    message: dict[str, Any] = {
        "name": name,
        "payload": payloads[0] if len(payloads) == 1 else {"anyOf": payloads},
    }
    if any(form in correlated for form in forms.values()):
        message["correlationId"] = _component("correlationIds", "requestId")
    return message | ({"examples": examples} if examples else {})


def _commands(schemas: dict[str, Schema]) -> dict[str, Any]:
    """Return an operation for each action. The service receives it, and replies."""
    exchanges: dict[str, list[protocol.Exchange]] = defaultdict(list)
    for exchange in protocol.EXCHANGES:
        exchanges[name_of(exchange.command)].append(exchange)
    return {action: _command(action, group, schemas) for action, group in exchanges.items()}


def _command(
    action: str, group: list[protocol.Exchange], schemas: dict[str, Schema]
) -> dict[str, Any]:
    channel = _ref("channels", "connection")
    outcomes = dict.fromkeys(name_of(form) for each in group for form in forms_of(each.outcome))
    operation = {
        "action": "receive",
        "channel": channel,
        "summary": " ".join(schemas[each.command.__name__]["description"] for each in group),
        "messages": [_in_channel(action)],
        "reply": {
            "channel": channel,
            "messages": [_in_channel(name) for name in (*outcomes, *_REFUSALS)],
        },
    }
    if all(exchange.needs_token for exchange in group):
        operation["security"] = [_component("securitySchemes", it) for it in _SECURITY]
    return operation


def _notify() -> dict[str, Any]:
    return {
        "action": "send",
        "channel": _ref("channels", "connection"),
        "summary": "Notify clients of an event.",
        "messages": [_in_channel(name_of(form)) for form in protocol.NOTICES],
    }


def _ref(*path: str) -> dict[str, str]:
    return {"$ref": "#/" + "/".join(path)}


def _component(kind: str, name: str) -> dict[str, str]:
    return _ref("components", kind, name)


def _in_channel(message: str) -> dict[str, str]:
    return _ref("channels", "connection", "messages", message)


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """Writes texts of several lines as blocks, and repeats objects instead of naming them."""

    def ignore_aliases(self, _: object) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> Any:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
