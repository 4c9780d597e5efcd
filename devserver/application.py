"""A Chalice project, loaded from its folder as `chalice local` does.

Not through chalice.cli.factory: that module imports botocore, 30 MiB that the server has no use
for. Its settings are read by Chalice's own Config all the same.
"""

import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from chalice.app import ScheduledEventConfig, ScheduleExpression
from chalice.config import Config

from devserver.functions import Function
from devserver.schedule_expression import Cron, InvalidExpression, Rate, parse_expression
from devserver.sources import InvalidSource, Sources, compile_sources, installed

LAMBDA_TIMEOUT_SECONDS = 60
"""Source: chalice.constants.DEFAULT_LAMBDA_TIMEOUT, for a project that sets none."""

LAMBDA_MEMORY_MB = 128
"""Source: chalice.constants.DEFAULT_LAMBDA_MEMORY_SIZE."""

TRACEBACK_LINES = 12
"""How much of a traceback is shown when the application does not import: its end."""


class ApplicationError(Exception):
    """The project cannot be loaded; the message says why, for the developer to read."""

    def describe(self) -> str:
        """Return the message, and the end of the traceback if the project's code has failed."""
        if self.__cause__ is None or isinstance(
            self.__cause__, OSError | ValueError | RecursionError
        ):
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
        except (ValueError, RecursionError) as error:
            raise ApplicationError(f"{path}: {error}") from error
        if not isinstance(held, dict) or not held.get("app_name"):
            raise ApplicationError(f"{path}: app_name is missing")
        return Config(chalice_stage=self.stage, config_from_disk=held)

    def load(self) -> Application:
        """Import the application afresh; another import of it that was there before is dropped.

        Variables that are in the process's environment win over the stage's, so that settings can
        be given on the command line. All functions share one process, so variables that
        config.json gives to a single function are not set.

        Modules that the application before had imported, if only when it needed them, are
        imported again at once.

        Raises: ApplicationError if it can't be imported. The application before, and the
        environment's variables, then stay as they were.
        """
        config = self.read_config()
        try:
            sources = compile_sources(self.directory)
        except InvalidSource as invalid:
            raise ApplicationError(str(invalid)) from None
        with self._stage_environment(config.environment_variables), self._fresh_modules(sources):
            app = _import_app(self.directory)
            return _application(app, config)

    def is_source(self, path: Path) -> bool:
        """Say whether the file belongs to what Chalice packages, or to its configuration."""
        return (
            path in (self.directory / "app.py", self.directory / ".chalice" / "config.json")
            or self.directory / "chalicelib" in path.parents
        )

    @contextmanager
    def _stage_environment(self, variables: Mapping[str, str]) -> Iterator[None]:
        """Set the stage's variables; put the ones before back if the application fails."""
        before, set_before = dict(self.environment), self._set_by_us
        for name in self._set_by_us:
            self.environment.pop(name, None)
        self._set_by_us = {name for name in variables if name not in self.environment}
        self.environment.update({name: str(variables[name]) for name in self._set_by_us})
        try:
            yield
        except BaseException:
            for name in self._set_by_us - set_before:
                self.environment.pop(name, None)
            self.environment.update({name: before[name] for name in set_before})
            self._set_by_us = set_before
            raise

    @contextmanager
    def _fresh_modules(self, sources: Sources) -> Iterator[None]:
        """Take the project's own modules out of sys.modules; put them back if it fails."""
        held = self._own_modules()
        before = installed()
        for name in held:
            del sys.modules[name]
        sources.install()
        try:
            yield
            _import_modules(name for name in held if name in sources)
        except BaseException:
            for name in self._own_modules():
                del sys.modules[name]
            sys.modules.update(held)
            if before is not None:
                before.install()
            raise

    def _own_modules(self) -> dict[str, ModuleType]:
        """Return the project's imported modules by name. Handlers can import more meanwhile."""
        imported = sys.modules.copy()  # in one step, unlike an iteration
        return {name: module for name, module in imported.items() if self._is_own(module)}

    def _is_own(self, module: ModuleType) -> bool:
        file = getattr(module, "__file__", None)
        return file is not None and self.is_source(Path(file))


def _import_app(directory: Path) -> Any:
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))
    importlib.invalidate_caches()
    _import_modules(["app"])
    try:
        app = sys.modules["app"].app
    except AttributeError:
        raise ApplicationError("app.py has no attribute 'app'") from None
    unasked = app._features_used - app.experimental_feature_flags
    if unasked:
        raise ApplicationError(f"app.experimental_feature_flags lacks {sorted(unasked)}")
    return app


def _import_modules(names: Iterable[str]) -> None:
    """Import modules. One that refuses to start, by `sys.exit("why")`, has its say alone."""
    for name in names:
        try:
            importlib.import_module(name)
        except SystemExit as error:
            if isinstance(error.code, str):
                raise ApplicationError(error.code) from None
            raise ApplicationError(f"{_shown(name)} does not import: {error!r}") from None
        except Exception as error:
            summary = traceback.format_exception_only(error)[-1].strip()
            raise ApplicationError(f"{_shown(name)} does not import: {summary}") from error


def _shown(module_name: str) -> str:
    return "app.py" if module_name == "app" else module_name


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
