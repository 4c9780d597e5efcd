"""A handler for the interpreter that marks texts, because ministack 1.5.33 has no TranslateText.

Whoever runs functions with this folder on Python's path can name it as theirs.
"""

from chalicelib import wiring
from chalicelib.interpreter import Interpreter


class Marks:
    def translate(self, text, _source, target, _ends_at):
        return f"[{target}] {text}"


def interpreter(event, _context):
    Interpreter(wiring._publishing(), Marks(), None).interpret(event)
