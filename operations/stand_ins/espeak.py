"""Speech by espeak-ng, encoded as MP3 by lame."""

import asyncio
import shutil
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

PROGRAMS: Final = ("espeak-ng", "lame")

SECONDS: Final = 6
"""Time for one text, less than the interpreter waits for Polly."""

KBIT_PER_SECOND: Final = 48

_VOICES: Final = {
    "ar-AE": "ar",
    "cmn-CN": "cmn",
    "en-US": "en-us",
    "es-MX": "es-419",
    "fr-CA": "fr",
    "nb-NO": "nb",
    "pt-BR": "pt-br",
}
"""espeak-ng's voices that aren't the first part of Polly's code."""


class SpeechFailed(Exception):
    """A program has failed. The text names it."""


def is_installed() -> bool:
    """Return whether both programs are there."""
    return all(map(shutil.which, PROGRAMS))


async def speak(text: str, language_code: str, sample_rate: int) -> bytes:
    """Return a text's speech as MP3, in mono.

    Args:
        text: The plain text.
        language_code: Polly's code of the language.
        sample_rate: Samples per second.

    Raises:
        SpeechFailed: A program fails, or takes too long.
    """
    voice = _VOICES.get(language_code) or language_code.partition("-")[0]
    # On standard input, because arguments are visible to other users of this machine.
    wave = await _run(
        ["espeak-ng", "-v", voice, "--stdin", "--stdout"], text.encode(errors="replace")
    )
    # Without -t, a frame in front of the others describes them.
    encode = ["lame", "--quiet", "-t", "--resample", f"{sample_rate / 1000:g}", "-m", "m"]
    return await _run([*encode, "-b", str(KBIT_PER_SECOND), "-", "-"], wave)


async def _run(command: Sequence[str], given: bytes) -> bytes:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(given), SECONDS / 2)
    except TimeoutError:
        raise SpeechFailed(f"{command[0]} takes too long") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode or not output:
        raise SpeechFailed(f"{command[0]} has failed")
    return output
