"""One JSON object a line on stdout, with the keys that every service of the platform has."""

import logging
from datetime import UTC, datetime
from typing import cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from .config import LogLevel
from .version import SERVICE, VERSION

_STDLIB_LEVELS: dict[LogLevel, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}
_LEVEL_NAMES = {"warning": "warn", "critical": "error"}


def configure_logging(level: LogLevel) -> None:
    structlog.configure(
        processors=[_add_common_keys, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(_STDLIB_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(),
    )
    # Libraries speak through the standard library, and are heard when something is wrong.
    logging.basicConfig(handlers=[_ForwardHandler()], level=logging.WARNING, force=True)
    # Every fault that uvicorn would report is already in a request's own line.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)


def get_logger() -> FilteringBoundLogger:
    return cast(FilteringBoundLogger, structlog.get_logger())


def describe(error: BaseException) -> str:
    """An exception as one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def _add_common_keys(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return {
        "time": now.replace("+00:00", "Z"),
        "level": _LEVEL_NAMES.get(method, method),
        "msg": event.pop("event"),
        "service": SERVICE,
        "version": VERSION,
        **event,
    }


class _ForwardHandler(logging.Handler):
    """Passes on what libraries log, so that stdout has one format only."""

    def emit(self, record: logging.LogRecord) -> None:
        log = get_logger()
        message = " ".join(record.getMessage().split())
        message = message[:1].lower() + message[1:]
        if record.levelno < logging.ERROR:
            log.warning(message, logger=record.name)
            return
        cause = record.exc_info[1] if record.exc_info else None
        log.error(message, error=describe(cause) if cause else message, logger=record.name)
