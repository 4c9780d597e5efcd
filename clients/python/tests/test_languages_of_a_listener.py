"""The choice of a listener's language."""

import asyncio
from typing import Any

import pytest

from broadcast_sessions_client import SessionError
from client_support.members import JOINED, SESSION, answered, joined_listener, listener
from client_support.scripted_loop import loop, run, settle
from client_support.scripted_server import ScriptedServer, ScriptedSocket

REFRESHED = JOINED | {"type": "connectionRefreshComplete", "timestamp": 1795708801003}
UNSUPPORTED: dict[str, Any] = {"type": "error", "code": "UNSUPPORTED_LANGUAGE", "temporary": False}


def languages(socket: ScriptedSocket) -> list[str]:
    """Return the languages of the commands that a client has sent."""
    return [it["targetLanguage"] for it in socket.done if "targetLanguage" in dict(it)]


def test_a_language_that_is_chosen_before_the_join_is_that_of_the_join() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client = listener(server)
        assert await client.change_language("fr-FR") == "fr-FR"
        assert (client.language, client.state) == ("fr-FR", "idle")
        with pytest.raises(ValueError, match="needs a language"):
            await client.change_language(" ")
        joining = asyncio.create_task(client.join())
        socket = await answered(server, JOINED | {"targetLanguage": "fr"})
        assert (await joining).language == "fr"
        assert languages(socket) == ["fr-FR"]
        await client.close()

    run(test())


def test_another_language_can_be_chosen_after_a_refused_one() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client = listener(server)
        joining = asyncio.create_task(client.join())
        await answered(server, UNSUPPORTED)
        with pytest.raises(SessionError, match="UNSUPPORTED_LANGUAGE"):
            await joining
        await client.change_language("fr")
        joining = asyncio.create_task(client.join())
        socket = await answered(server, JOINED | {"targetLanguage": "fr"})
        assert languages(socket) == ["fr"]
        assert (await joining).language == "fr"
        await client.close()
        with pytest.raises(SessionError, match="CLOSED"):
            await client.change_language("es")

    run(test())


def test_a_listener_joins_anew_with_its_latest_language() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client, socket = await joined_listener(server)
        changing = asyncio.create_task(client.change_language("fr"))
        await settle()
        socket.serve({"type": "languageChanged", "targetLanguage": "fr"})
        await changing
        socket.serve({"type": "sessionEnded", "reason": "expired"})
        await settle()
        joining = asyncio.create_task(client.join())
        await settle()
        assert client.language == "fr"
        socket = await answered(server, JOINED | {"targetLanguage": "fr"})
        assert languages(socket) == ["fr"]
        await joining
        await client.close()

    run(test())


async def changed_in_a_refresh(
    server: ScriptedServer,
) -> tuple[Any, ScriptedSocket, ScriptedSocket]:
    """Return a client whose language has changed on the old connection of a refresh."""
    client, old = await joined_listener(server)
    await loop().elapse(5)
    changing = asyncio.create_task(client.change_language("fr"))
    await settle()
    old.serve({"type": "connectionRefreshRequired", "sessionId": SESSION})
    await settle()
    new = server.openings.popleft().answer()
    await settle()
    old.serve({"type": "languageChanged", "targetLanguage": "fr"})
    assert await changing == "fr"
    new.done.clear()
    return client, old, new


def test_a_cancelled_choice_does_not_replace_one_that_a_refresh_has_reset() -> None:
    async def test() -> None:
        client, _, new = await changed_in_a_refresh(ScriptedServer())
        changing = asyncio.create_task(client.change_language("de"))
        await settle()
        changing.cancel()
        new.serve(REFRESHED)
        await settle()
        assert languages(new) == ["fr"]
        await client.close()

    run(test())


def test_a_choice_at_the_moment_of_the_outcome_is_newer() -> None:
    async def test() -> None:
        client, _, new = await changed_in_a_refresh(ScriptedServer())
        new.serve(REFRESHED)
        while client.state == "refreshing":
            choosing = asyncio.create_task(client.change_language("de"))
            await asyncio.sleep(0)
            if client.state == "refreshing":
                choosing.cancel()
        await settle()
        assert languages(new) == ["de"]
        new.serve({"type": "languageChanged", "targetLanguage": "de"})
        assert await choosing == "de"
        await settle()
        assert (client.language, languages(new)) == ("de", ["de"])
        await client.close()

    run(test())


def test_a_refused_choice_gives_way_to_the_one_that_a_refresh_has_reset() -> None:
    async def test() -> None:
        client, _, new = await changed_in_a_refresh(ScriptedServer())
        choosing = [asyncio.create_task(client.change_language(it)) for it in ("xx", "yy")]
        new.serve(REFRESHED)
        for call in choosing:
            await settle()
            new.serve(UNSUPPORTED)
            with pytest.raises(SessionError, match="UNSUPPORTED_LANGUAGE"):
                await call
        await settle()
        assert languages(new) == ["xx", "yy", "fr"]
        new.serve(UNSUPPORTED)
        await settle()
        assert (client.language, languages(new)) == ("es", ["xx", "yy", "fr"])
        await client.close()

    run(test())
