"""A handler for the interpreter whose translations fail, because the stand-in's never do.

Whoever runs functions with this folder on Python's path can name it as theirs.
"""

from chalicelib import wiring
from chalicelib.aws.calls import CallFailed
from chalicelib.interpreter import Interpreter


class Throttled:
    def translate(self, _text, _source, _target, _ends_at):
        raise CallFailed("ThrottlingException")


def interpreter(event, _context):
    Interpreter(wiring._publishing(), Throttled(), None).interpret(event)
