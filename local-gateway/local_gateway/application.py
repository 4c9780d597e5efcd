"""A Chalice project, loaded from its folder as `chalice local` does.

The module doesn't use chalice.cli.factory, because that imports botocore, 30 MiB that the gateway
doesn't need. Chalice's own Config still reads the settings.
"""

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from chalice.app import Chalice, ScheduledEventConfig, ScheduleExpression
from chalice.config import Config

from local_gateway.aws_options import AwsOptions, read_options
from local_gateway.chalice_sender import redirect_sender
from local_gateway.functions import Function
from local_gateway.identity_sources import (
    IdentitySource,
    InvalidIdentitySource,
    parse_identity_source,
)
from local_gateway.schedule_expression import Cron, InvalidExpression, Rate, parse_expression
from local_gateway.settings import InvalidSettings, read_settings, websocket_api
from local_gateway.sources import InvalidSource, Sources, compile_sources, installed

LAMBDA_TIMEOUT_SECONDS = 60
"""Default timeout of a function. Source: chalice.constants.DEFAULT_LAMBDA_TIMEOUT."""

LAMBDA_MEMORY_MB = 128
"""Default memory size of a function. Source: chalice.constants.DEFAULT_LAMBDA_MEMORY_SIZE."""

_MANAGEMENT_URL = "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI"


class ApplicationError(Exception):
    """The project can't be loaded. The message explains why."""

    def describe(self) -> str:
        """Return the message, with the project's part of the traceback if its code raised it."""
        if self.__cause__ is None:
            return str(self)
        frames = _project_frames(self.__cause__.__traceback__)
        lines = traceback.format_exception(None, self.__cause__, frames)
        return "\n".join([str(self), "".join(lines).rstrip()])


def _project_frames(frames: TracebackType | None) -> TracebackType | None:
    """Return the frames without the first ones, which are the gateway's and importlib's."""
    while frames is not None:
        package = frames.tb_frame.f_globals.get("__name__", "").partition(".")[0]
        if package not in ("local_gateway", "importlib"):
            break
        frames = frames.tb_next
    return frames


@dataclass(frozen=True, slots=True)
class Schedule:
    """A scheduled function with its schedule expression."""

    function: Function
    expression: Rate | Cron

    @property
    def rule_name(self) -> str:
        """The name that Chalice gives the EventBridge rule. Source: chalice.deploy.appgraph."""
        return f"{self.function.name}-event"


@dataclass(frozen=True, slots=True)
class Application:
    """The application's functions. Routes and the authorizer are optional, as on AWS."""

    routes: Mapping[str, Function]
    functions: Mapping[str, Function]
    authorizer: Function | None
    route_responses: frozenset[str]
    identity_sources: tuple[IdentitySource, ...] = ()
    schedules: tuple[Schedule, ...] = ()

    @property
    def labels(self) -> frozenset[str]:
        """The labels of all functions."""
        functions = [*self.routes.values(), *self.functions.values()]
        return frozenset(function.label for function in functions)


@dataclass(slots=True)
class Project:
    """A Chalice project's folder, with the stage to serve.

    Attributes:
        directory: The folder.
        stage: The stage.
        environment: The environment variables of the process.
        has_aws: Whether the options of the embedded AWS count.
    """

    directory: Path
    stage: str
    environment: MutableMapping[str, str] = field(default_factory=lambda: os.environ)
    has_aws: bool = True
    _set_by_us: set[str] = field(default_factory=set)

    def read_config(self) -> Config:
        """Read .chalice/config.json.

        Raises:
            ApplicationError: The file is missing or isn't valid.
        """
        try:
            settings = read_settings(self.directory)
        except InvalidSettings as invalid:
            raise ApplicationError(str(invalid)) from None
        return Config(chalice_stage=self.stage, config_from_disk=settings)

    def read_aws_options(self) -> AwsOptions | None:
        """Read the options of the embedded AWS; None if the project has none, or they don't count.

        Raises:
            ApplicationError: An option or a file that it names isn't valid.
        """
        if not self.has_aws:
            return None
        try:
            return read_options(self.directory, self.read_config().config_from_disk)
        except InvalidSettings as invalid:
            raise ApplicationError(str(invalid)) from None

    def load(self) -> Application:
        """Import the application, in place of an earlier import.

        Variables of the process's environment override the stage's variables, which lets you set
        them on the command line. All functions share one process, so variables that config.json
        sets for a single function are ignored.

        All project modules that the earlier import had loaded, including those that it loaded
        lazily, are imported again immediately.

        Raises:
            ApplicationError: The application can't be imported. The earlier import and the
                environment are left unchanged.
        """
        config = self.read_config()
        try:
            sources = compile_sources(self.directory)
        except InvalidSource as invalid:
            raise ApplicationError(str(invalid)) from None
        if "app" not in sources:  # Otherwise Python could import another folder's app.py.
            raise ApplicationError(f"not a Chalice project: {self.directory} has no app.py")
        with self._stage_environment(config.environment_variables), self._fresh_modules(sources):
            app = _import_app(self.directory)
            if _MANAGEMENT_URL in self.environment:
                # Otherwise Chalice builds a URL of execute-api, and ignores boto3's variables.
                redirect_sender(app, self.environment[_MANAGEMENT_URL])
            return _application(app, config)

    def is_source(self, path: Path) -> bool:
        """Return whether the file is a source that Chalice packages, or the configuration."""
        return (
            path in (self.directory / "app.py", self.directory / ".chalice" / "config.json")
            or self.directory / "chalicelib" in path.parents
        )

    @contextmanager
    def _stage_environment(self, variables: Mapping[str, str]) -> Iterator[None]:
        """Set the stage's variables; restore the previous ones if the import fails."""
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
            kept = {name: before[name] for name in set_before if name in before}
            self.environment.update(kept)
            self._set_by_us = set_before
            raise

    @contextmanager
    def _fresh_modules(self, sources: Sources) -> Iterator[None]:
        """Remove the project's modules from sys.modules; restore them if the import fails."""
        old_modules = self._own_modules()
        old_sources = installed()
        for name in old_modules:
            del sys.modules[name]
        sources.install()
        try:
            yield
            _import_modules(name for name in old_modules if name in sources)
        except BaseException:
            for name in self._own_modules():
                del sys.modules[name]
            sys.modules.update(old_modules)
            if old_sources is not None:
                old_sources.install()
            raise

    def _own_modules(self) -> dict[str, ModuleType]:
        """Return the project's imported modules by name."""
        # The copy is atomic, unlike iterating: handlers in other threads can import modules.
        imported = sys.modules.copy()
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
    if not isinstance(app, Chalice):
        raise ApplicationError("app.py: 'app' isn't a Chalice application")
    missing = app._features_used - app.experimental_feature_flags
    if missing:
        raise ApplicationError(f"app.experimental_feature_flags lacks {sorted(missing)}")
    return app


def _import_modules(names: Iterable[str]) -> None:
    """Import modules. If a module calls `sys.exit("reason")`, the reason is the whole message."""
    for name in names:
        try:
            importlib.import_module(name)
        except SystemExit as error:
            if isinstance(error.code, str):
                raise ApplicationError(error.code) from None
            raise ApplicationError(f"can't import {_display_name(name)}: {error!r}") from None
        except Exception as error:
            summary = traceback.format_exception_only(error)[-1].strip()
            raise ApplicationError(f"can't import {_display_name(name)}: {summary}") from error


def _display_name(module_name: str) -> str:
    return "app.py" if module_name == "app" else module_name


def _application(app: Any, config: Config) -> Application:
    make = _function_maker(app, config)
    entries = [*app.pure_lambda_functions, *app.event_sources]
    functions = {entry.name: make(entry.name, entry.name, entry.name) for entry in entries}
    settings = _websocket_api(config)
    authorizer = settings.get("authorizer_function")
    if authorizer not in (None, *(entry.name for entry in app.pure_lambda_functions)):
        raise ApplicationError(
            "websocket_api.authorizer_function: "
            f"app.py has no function {authorizer!r} with @app.lambda_function()"
        )
    return Application(
        routes={
            route: make(_ROUTE_FUNCTIONS[route], entry.name, route)
            for route, entry in app.websocket_handlers.items()
        },
        functions={function.name: function for function in functions.values()},
        authorizer=functions.get(authorizer),
        route_responses=frozenset(settings.get("route_responses", [])),
        identity_sources=_identity_sources(settings.get("identity_sources", [])),
        schedules=tuple(
            Schedule(functions[entry.name], _expression(entry))
            for entry in app.event_sources
            if isinstance(entry, ScheduledEventConfig)
        ),
    )


def _websocket_api(config: Config) -> dict[str, Any]:
    try:
        return websocket_api(config.config_from_disk, config.chalice_stage)
    except InvalidSettings as invalid:
        raise ApplicationError(str(invalid)) from None


def _identity_sources(expressions: Iterable[object]) -> tuple[IdentitySource, ...]:
    try:
        return tuple(map(parse_identity_source, expressions))
    except InvalidIdentitySource as invalid:
        raise ApplicationError(f"websocket_api.identity_sources: {invalid}") from None


def _expression(entry: Any) -> Rate | Cron:
    expression = entry.schedule_expression
    is_object = isinstance(expression, ScheduleExpression)
    text = expression.to_string() if is_object else str(expression)
    try:
        return parse_expression(text)
    except InvalidExpression as invalid:
        raise ApplicationError(f"invalid schedule of {entry.name}: {invalid}") from None


_ROUTE_FUNCTIONS = {
    "$connect": "websocket_connect",
    "$default": "websocket_message",
    "$disconnect": "websocket_disconnect",
}
"""The names under which Chalice deploys the routes' functions. Source: chalice.deploy.appgraph."""


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
