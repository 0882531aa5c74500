"""One JSON object a line on stdout, whoever logs: structlog, or the standard library's logging."""

import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime

import structlog
from opentelemetry import trace
from structlog.stdlib import ExtraAdder, ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

current_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
LEVELS = {"warning": "warn", "critical": "error"}


def configure(level: str, service: str, version: str) -> None:
    def complete(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        own = {
            "time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "level": LEVELS.get(method, method),
            "msg": str(event.pop("event")).strip(),
            "service": service,
            "version": version,
        }
        if request_id := current_request_id.get():
            own["request_id"] = request_id
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            own["trace_id"] = trace.format_trace_id(span.trace_id)
        return own | event | own  # in this order, and no line overwrites them

    number = logging.getLevelNamesMapping()[level.upper()]
    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.format_exc_info,
        complete,
        structlog.processors.JSONRenderer(),
    ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    of_record: list[Processor] = [ExtraAdder(), ProcessorFormatter.remove_processors_meta]
    handler.setFormatter(ProcessorFormatter(processors=of_record + processors))
    logging.basicConfig(handlers=[handler], level=number, force=True)
