"""A Chalice project, loaded from its folder as `chalice local` does.

Not through chalice.cli.factory: that module imports botocore, 30 MiB that the server has no use
for. Its settings are read by Chalice's own Config all the same.
"""

import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from chalice.app import ScheduledEventConfig, ScheduleExpression
from chalice.config import Config

from devserver.functions import Function
from devserver.schedule_expression import Cron, InvalidExpression, Rate, parse_expression

LAMBDA_TIMEOUT_SECONDS = 60
"""Source: chalice.constants.DEFAULT_LAMBDA_TIMEOUT, for a project that sets none."""

LAMBDA_MEMORY_MB = 128
"""Source: chalice.constants.DEFAULT_LAMBDA_MEMORY_SIZE."""

TRACEBACK_LINES = 12
"""How much of a traceback is shown when the application does not import: its end."""


class ApplicationError(Exception):
    """The project cannot be loaded; the message says why, for the developer to read."""

    def describe(self) -> str:
        """Return the message, and the end of the traceback if the project's code has raised."""
        if self.__cause__ is None or isinstance(self.__cause__, OSError | ValueError):
            return str(self)
        lines = "".join(traceback.format_exception(self.__cause__)).rstrip().splitlines()
        return "\n".join([str(self), *lines[-TRACEBACK_LINES:]])


@dataclass(frozen=True, slots=True)
class Schedule:
    """A function, when it is due, and the EventBridge rule that says so."""

    function: Function
    expression: Rate | Cron

    @property
    def rule_name(self) -> str:
        """Return the name that Chalice gives the rule. Source: chalice.deploy.appgraph."""
        return f"{self.function.name}-event"


@dataclass(frozen=True, slots=True)
class Application:
    """What is served: a route or an authorizer that is missing is none, as on AWS."""

    routes: Mapping[str, Function]
    functions: Mapping[str, Function]
    authorizer: Function | None
    route_responses: frozenset[str]
    schedules: tuple[Schedule, ...] = ()

    @property
    def labels(self) -> frozenset[str]:
        """What its functions are known by."""
        held = [*self.routes.values(), *self.functions.values()]
        return frozenset(function.label for function in held)


@dataclass(slots=True)
class Project:
    """A Chalice project's folder and the stage of it that is served."""

    directory: Path
    stage: str
    environment: MutableMapping[str, str] = field(default_factory=lambda: os.environ)
    _set_by_us: set[str] = field(default_factory=set)

    def read_config(self) -> Config:
        """Read .chalice/config.json; raises ApplicationError when there is none, or no JSON."""
        path = self.directory / ".chalice" / "config.json"
        try:
            held = json.loads(path.read_text())
        except OSError as error:
            raise ApplicationError(f"no Chalice project: {path}: {error.strerror}") from error
        except ValueError as error:
            raise ApplicationError(f"{path}: {error}") from error
        if not isinstance(held, dict) or not held.get("app_name"):
            raise ApplicationError(f"{path}: app_name is missing")
        return Config(chalice_stage=self.stage, config_from_disk=held)

    def load(self) -> Application:
        """Import the application afresh; another import of it that was there before is dropped.

        Variables that are in the process's environment win over the stage's, so that settings can
        be given on the command line. All functions share one process, so variables that
        config.json gives to a single function are not set.

        Raises ApplicationError when it cannot be imported; what was imported before stays then.
        """
        config = self.read_config()
        self._set_environment(config.environment_variables)
        with self._fresh_modules():
            app = _import_app(self.directory)
        return _application(app, config)

    def is_source(self, path: Path) -> bool:
        """Say whether the file belongs to what Chalice packages, or to its configuration."""
        return (
            path in (self.directory / "app.py", self.directory / ".chalice" / "config.json")
            or self.directory / "chalicelib" in path.parents
        )

    def _set_environment(self, variables: Mapping[str, str]) -> None:
        for name in self._set_by_us:
            self.environment.pop(name, None)
        self._set_by_us = {name for name in variables if name not in self.environment}
        self.environment.update({name: str(variables[name]) for name in self._set_by_us})

    @contextmanager
    def _fresh_modules(self) -> Iterator[None]:
        """Take the project's own modules out of sys.modules; put them back if it fails."""
        held = {name: module for name, module in sys.modules.items() if self._is_own(module)}
        for name in held:
            del sys.modules[name]
        try:
            yield
        except BaseException:
            for name in [name for name, module in sys.modules.items() if self._is_own(module)]:
                del sys.modules[name]
            sys.modules.update(held)
            raise

    def _is_own(self, module: ModuleType) -> bool:
        file = getattr(module, "__file__", None)
        return file is not None and self.is_source(Path(file))


def _import_app(directory: Path) -> Any:
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))
    importlib.invalidate_caches()
    try:
        with _no_bytecode():
            app = importlib.import_module("app").app
    except (Exception, SystemExit) as error:
        raise ApplicationError("app.py does not import") from error
    unasked = app._features_used - app.experimental_feature_flags
    if unasked:
        raise ApplicationError(f"app.experimental_feature_flags lacks {sorted(unasked)}")
    return app


@contextmanager
def _no_bytecode() -> Iterator[None]:
    """Write no .pyc: one is taken for fresh if the source was edited twice in a second."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def _application(app: Any, config: Config) -> Application:
    make = _function_maker(app, config)
    entries = [*app.pure_lambda_functions, *app.event_sources]
    functions = {entry.name: make(entry.name, entry.name, entry.name) for entry in entries}
    settings = config.config_from_disk.get("websocket_api", {})
    authorizer = settings.get("authorizer_function")
    if authorizer is not None and authorizer not in functions:
        raise ApplicationError(f"websocket_api.authorizer_function: app.py has no {authorizer}")
    return Application(
        routes={
            route: make(_ROUTE_FUNCTIONS[route], entry.name, route)
            for route, entry in app.websocket_handlers.items()
        },
        functions={function.name: function for function in functions.values()},
        authorizer=functions.get(authorizer),
        route_responses=frozenset(settings.get("route_responses", [])),
        schedules=tuple(
            Schedule(functions[entry.name], _expression(entry))
            for entry in app.event_sources
            if isinstance(entry, ScheduledEventConfig)
        ),
    )


def _expression(entry: Any) -> Rate | Cron:
    held = entry.schedule_expression
    text = held.to_string() if isinstance(held, ScheduleExpression) else str(held)
    try:
        return parse_expression(text)
    except InvalidExpression as invalid:
        raise ApplicationError(f"the schedule of {entry.name}: {invalid}") from None


_ROUTE_FUNCTIONS = {
    "$connect": "websocket_connect",
    "$default": "websocket_message",
    "$disconnect": "websocket_disconnect",
}
"""The names that Chalice deploys them by. Source: chalice.deploy.appgraph."""


def _function_maker(app: Any, config: Config) -> Callable[[str, str, str], Function]:
    def make(name: str, handler_name: str, label: str) -> Function:
        scoped = config.scope(config.chalice_stage, name)
        return Function(
            name=f"{config.app_name}-{config.chalice_stage}-{name}",
            label=label,
            handler=app.handler_map[handler_name],
            timeout_seconds=scoped.lambda_timeout or LAMBDA_TIMEOUT_SECONDS,
            memory_mb=scoped.lambda_memory_size or LAMBDA_MEMORY_MB,
        )

    return make
