"""Lists as files, streamed row by row: CSV (RFC 4180) for spreadsheets, NDJSON for programs."""

import csv
import io
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import Any

from quart import Response, request

from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind
from cloud.callers import Operator
from cloud.database import Database, Row, Transaction
from cloud.lists import Listing, filters_of
from cloud.operations import Raw, current_operator
from cloud.reports import Reports, dated
from shared.contract import Message

MEDIA_TYPES = {"csv": "text/csv", "ndjson": "application/x-ndjson"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class ExportFormat(StrEnum):
    """How rows are written."""

    CSV = "csv"
    NDJSON = "ndjson"


def file_of(row: type[Message]) -> Raw:
    """What an export of such rows is."""
    return Raw("A file: CSV with a header row, or one JSON object a line.", tuple(MEDIA_TYPES.values()), row)


def csv_lines(rows: Sequence[Sequence[object]]) -> str:
    """Rows as CSV. A text that a spreadsheet might run as a formula gets a quote before it; numbers are none."""
    text = io.StringIO()
    csv.writer(text).writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return _plain(value) if isinstance(value, datetime) else value


def json_lines(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Rows as one JSON object a line."""
    return "".join(
        json.dumps(dict(zip(names, row, strict=True)), default=_plain, ensure_ascii=False, separators=(",", ":")) + "\n"
        for row in rows
    )


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value)


async def export(
    database: Database, reports: Reports, listing: Listing[Any, Any], query: Message, form: ExportFormat
) -> Response:
    """All rows that the query asks for, as they are now. What fails in the middle breaks the line.

    That somebody asks for them is audited, whether or not they read to the end. Raises Unavailable while too many do
    the same.
    """
    names = list(listing.row.model_fields)
    headers = {"Content-Disposition": f'attachment; filename="{listing.name}.{form}"'}
    media_type = MEDIA_TYPES[form]
    if request.method == "HEAD":
        return Response(b"", mimetype=media_type, headers=headers)
    operator = current_operator()
    await database.unit("export.audit", partial(_record, operator, listing.name, query, form), caller=operator)
    sql, values = listing.statement(query, None)
    begun = await reports.stream(f"export.{listing.name}", sql, values, caller=operator)
    if form is ExportFormat.CSV:
        body = _text(begun.more, begun.first, csv_lines, csv_lines([names]))
    else:
        body = _text(begun.more, begun.first, lambda rows: json_lines(names, rows), "")
    answer = Response(body, content_type=f"{media_type}; charset=utf-8", headers=headers)
    answer.timeout = None
    return dated(answer, begun.as_of)


async def _record(operator: Operator, name: str, query: Message, form: ExportFormat, transaction: Transaction) -> None:
    subject = Subject(SubjectKind.TENANT, operator.tenant_id)
    told = {"list": name, "format": form.value, **{name: str(value) for name, value in filters_of(query, {})}}
    await audit.record(transaction, operator.actor, operator.tenant_id, AuditAction.LIST_EXPORTED, subject, after=told)


async def _text(
    chunks: AsyncGenerator[Sequence[Row], None],
    first: Sequence[Row],
    write: Callable[[Sequence[Any]], str],
    heading: str,
) -> AsyncGenerator[bytes, None]:
    """What is sent; when its reader leaves, the database's work ends too."""
    async with aclosing(chunks):
        yield (heading + write([tuple(row.values()) for row in first])).encode()
        async for rows in chunks:
            yield write([tuple(row.values()) for row in rows]).encode()
