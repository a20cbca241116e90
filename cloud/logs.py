"""Logging: one event a line with its ids as fields, without secrets; JSON unless a person watches."""

import logging
import sys

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from cloud.scrubbing import scrubbed_field


def configure(level: str) -> None:
    """Set up structlog for the whole process, and let what libraries log take the same way."""
    renderer: Processor = (
        structlog.dev.ConsoleRenderer() if sys.stdout.isatty() else structlog.processors.JSONRenderer(default=_said)
    )
    structlog.configure(
        processors=[*processors(), renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
    )
    theirs = logging.StreamHandler(sys.stdout)
    theirs.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=processors(),
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[theirs], level=logging.WARNING, force=True)


def processors() -> list[Processor]:
    """What every event goes through before it is written. Nothing comes in after the last one."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        scrub,
    ]


def scrub(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Hides secrets and payment cards' numbers (cloud/scrubbing.py). Objects become what they say of themselves."""
    return {
        name: value if name in _STRUCTLOGS_OWN else scrubbed_field(name, _plain(value)) for name, value in event.items()
    }


_STRUCTLOGS_OWN = frozenset({"_record", "_from_structlog"})
_JSONS = (str, int, float, bytes, dict, list, tuple, set, frozenset)


def _plain(value: object) -> object:
    """Values that JSON knows as they are, of all others the text."""
    return value if value is None or isinstance(value, _JSONS) else str(value)


def _said(value: object) -> str:
    """Of an object deep inside: it was not looked into."""
    return f"<{type(value).__name__}>"
