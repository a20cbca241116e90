"""Lists: declared once, then read page by page, filtered, sorted and cut to the fields that were asked for.

A declaration holds all SQL there is; of a request only values reach the database, and those as parameters.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import Field, StringConstraints, TypeAdapter, field_validator
from quart import Response

from cloud import cursors
from cloud.database import Row, Transaction
from cloud.web import invalid
from shared.contract import Message

R = TypeVar("R", bound=Message)
P = TypeVar("P", bound=Message)
T = TypeVar("T")
Cut = tuple[tuple[T, ...], str | None]


class PageQuery(Message):
    """What every list takes."""

    row: ClassVar[type[Message]]
    """Of what it is a list."""

    limit: Annotated[int, Field(ge=1, le=200, description="The most rows of a page.")] = 50
    cursor: Annotated[
        Annotated[str, StringConstraints(min_length=1, max_length=1000)] | None,
        Field(description="The `next_cursor` of the page before, under the same filters and order."),
    ] = None
    fields: Annotated[
        str | None, Field(description="Names of the fields to show, with commas between them; without: all.")
    ] = None

    @field_validator("fields")
    @classmethod
    def _known(cls, fields: str | None) -> str | None:
        unknown = set() if fields is None else set(fields.split(",")) - set(cls.row.model_fields)
        if unknown:
            raise ValueError(f"there is no field {min(unknown)!r} here")
        return fields


PAGING = frozenset({"limit", "cursor", "fields", "sort", "format"})
"""What a query says of the form; all else filters."""


@dataclass(frozen=True)
class Sort:
    """One order, borne by an index: field of a row → its column. The last makes it total."""

    keys: Mapping[str, str]
    descending: bool = False


@dataclass(frozen=True)
class Through:
    """A filter by something that has rows of the list, each found by an index in the list's order."""

    table: str
    join: str
    condition: str
    """`{}` is the value."""


Condition = str | Callable[[object], str]
"""`{}` is the value. A function: the condition depends on it, for a partial index to be found."""


@dataclass(frozen=True)
class Listing(Generic[R, P]):
    """A list: rows are picked from `table` first, and only those of the page are joined to what is shown of them."""

    name: str
    row: type[R]
    page: type[P]
    """Its fields are the rows, and `next_cursor`: null on the last page."""
    table: str
    """With its alias, by which all columns are named: `orders o`."""
    show: str
    """SELECT … FROM {picked} …: what is shown of the rows picked."""
    read: Callable[[Row], R]
    sorts: Mapping[str, Sort]
    """The first is the one by default."""
    filters: Mapping[str, Condition] = field(default_factory=dict)
    through: Mapping[str, Through] = field(default_factory=dict)
    where: str = "true"
    """Which rows of the table belong to it at all."""

    @cached_property
    def keys(self) -> Mapping[str, TypeAdapter[cursors.Position]]:
        """How positions are read and written, by sort."""
        fields = self.row.model_fields
        return {
            name: cursors.keys_of([fields[key].rebuild_annotation() for key in sort.keys])
            for name, sort in self.sorts.items()
        }

    def sort_of(self, query: Message) -> str:
        """The order that is asked for."""
        return getattr(query, "sort", None) or next(iter(self.sorts))

    def statement(
        self, query: Message, limit: int | None, after: cursors.Position | None = None, **fixed: object
    ) -> tuple[str, list[object]]:
        """The SQL and its values. `fixed` filters as the query does: what the path says."""
        values: list[object] = []

        def place(value: object) -> str:
            values.append(value)
            return f"${len(values)}"

        sort, alias = self.sorts[self.sort_of(query)], self.table.rpartition(" ")[2]
        direction = " DESC" if sort.descending else ""
        order = "ORDER BY " + ", ".join(column + direction for column in sort.keys.values())
        conditions, outer = [self.where], None
        for name, value in filters_of(query, fixed):
            if name in self.through:
                outer = self.through[name], place(value)
            else:
                condition = self.filters[name]
                conditions.append((condition if isinstance(condition, str) else condition(value)).format(place(value)))
        if after is not None:
            sign = "<" if sort.descending else ">"
            conditions.append(f"({', '.join(sort.keys.values())}) {sign} ({', '.join(map(place, after))})")
        end = order if limit is None else f"{order} LIMIT {place(limit)}"
        where = " AND ".join(conditions)
        if outer is None:
            picked = f"SELECT {alias}.* FROM {self.table} WHERE {where} {end}"  # noqa: S608  no word of a request
        else:
            through, value = outer
            inner = f"SELECT {alias}.* FROM {self.table} WHERE {through.join} AND {where} {end}"  # noqa: S608
            each = f"{through.table} CROSS JOIN LATERAL ({inner}) {alias}"
            picked = f"SELECT {alias}.* FROM {each} WHERE {through.condition.format(value)} {end}"  # noqa: S608
        return f"{self.show.format(picked=f'({picked}) {alias}')} {order}", values


def filters_of(query: Message, fixed: Mapping[str, object]) -> list[tuple[str, object]]:
    """What narrows the list."""
    given = [(name, getattr(query, name)) for name in type(query).model_fields if name not in PAGING]
    return [(name, value) for name, value in given if value is not None] + list(fixed.items())


@dataclass(frozen=True)
class Bookmark:
    """Where a page ended, for a list that picks its rows by SQL of its own: under a name, by values of these types."""

    name: str
    types: tuple[object, ...]

    @cached_property
    def _keys(self) -> TypeAdapter[cursors.Position]:
        return cursors.keys_of(self.types)

    def read(self, query: PageQuery, **fixed: object) -> cursors.Position | None:
        """Behind which row the page begins; None: with the first. Raises Refused."""
        return _after(self._keys, cursors.mark_of(self.name, "", filters_of(query, fixed)), query)

    def cut(
        self, found: Sequence[T], query: PageQuery, key: Callable[[T], cursors.Position], **fixed: object
    ) -> Cut[T]:
        """Of one row more than the page may have: those it has, and its cursor. `key`: a row's values."""
        shown = tuple(found[: query.limit])
        if len(found) == len(shown):
            return shown, None
        mark = cursors.mark_of(self.name, "", filters_of(query, fixed))
        return shown, cursors.encode(self._keys, mark, key(shown[-1]))


def _after(keys: TypeAdapter[cursors.Position], mark: str, query: PageQuery) -> cursors.Position | None:
    if query.cursor is None:
        return None
    after = cursors.decode(keys, mark, query.cursor)
    if after is None:
        raise invalid("cursor", "is none of this list in this order under these filters")
    return after


async def read_page(transaction: Transaction, listing: Listing[R, P], query: PageQuery, **fixed: object) -> P:
    """The page that is asked for. Raises Refused for a cursor of another list, order or filters."""
    sort = listing.sort_of(query)
    keys, mark = listing.keys[sort], cursors.mark_of(listing.name, sort, filters_of(query, fixed))
    sql, values = listing.statement(query, query.limit + 1, _after(keys, mark, query), **fixed)
    found = [listing.read(row) for row in await transaction.fetch(sql, *values)]
    rows, more = found[: query.limit], None
    if len(found) > len(rows):
        more = cursors.encode(keys, mark, tuple(getattr(rows[-1], key) for key in listing.sorts[sort].keys))
    return listing.page.model_validate({rows_of(listing.page): tuple(rows), "next_cursor": more})


def rows_of(page: type[Message]) -> str:
    """The field of a page that holds its rows."""
    (name, _) = page.model_fields
    return name


def answer_page(page: Message, query: PageQuery) -> Response:
    """The page, its rows with those fields that are wished."""
    shown: dict[str, Any] | None = None
    if query.fields is not None:
        shown = {rows_of(type(page)): {"__all__": set(query.fields.split(","))}, "next_cursor": True}
    return Response(page.model_dump_json(include=shown), mimetype="application/json")
