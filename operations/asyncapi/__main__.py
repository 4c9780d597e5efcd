"""Writes the generated files."""

from local_gateway.command import run_command
from operations.asyncapi.files import ROOT, generate


def main() -> int:
    """Write the files; return the exit code."""
    for path, text in generate().items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8")
        print(path)
    return 0


if __name__ == "__main__":
    run_command(main)
