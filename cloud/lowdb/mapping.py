"""How the words of LowDB files are read: which files, which collections in them, which field means what. Pure."""

import re
import tomllib
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from cloud.orders.rules import OrderRail
from shared.contract import Currency, Name

MACHINE = "{machine}"
"""In the pattern of a file: the folder that is called like its machine."""
FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""What a folder or a record may call a machine."""
_WHOLE_FOLDER = f"^{FOLDER.pattern}$"


class MappingRefused(Exception):
    """The mapping cannot be used. The text names the file, and the line or the field."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("is no time zone of the IANA, like Asia/Kolkata")
    return name


def _safe_pattern(pattern: str) -> str:
    parts = pattern.split("/")
    if not all(part == MACHINE or re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._ -]*", part) for part in parts):
        raise ValueError("must be a path below the folder that is moved, of plain names and {machine}")
    if parts[-1] == MACHINE or parts.count(MACHINE) > 1:
        raise ValueError("has {machine} once, and as a folder")
    return pattern


Paths = Annotated[tuple[str, ...], BeforeValidator(_listed)]
"""Where a field stands: keys with dots between them. Of several the first that holds something counts."""
Zone = Annotated[str, AfterValidator(_known_zone)]


class OrderFields(_Part):
    """Of an order. Money in `…_major` is in rupees (or whatever the currency has), in `…_minor` in paise."""

    id: Paths = ("orderId", "order_number", "order_id")
    placed_at: Paths = ("createdAt", "created_at")
    updated_at: Paths = ("updatedAt", "updated_at")
    status: Paths = ("paymentStatus", "payment_status", "status")
    currency: Paths = ("paymentInfo.paymentCurrency", "payment_details.paymentCurrency", "currency")
    total_major: Paths = ("totalAmount", "total_amount")
    total_minor: Paths = ()
    paid_minor: Paths = ("paymentInfo.paymentAmount", "payment_details.paymentAmount")
    paid_major: Paths = ("payment_amount", "payment_details.payment_amount")
    paid_at: Paths = ("paymentInfo.paymentCreatedAt", "payment_details.paymentCreatedAt", "payment_created_at")
    payment_id: Paths = ("paymentInfo.paymentId", "payment_details.paymentId", "payment_id")
    name: Paths = ("customerName", "customer_name")
    phone: Paths = ("customerPhone", "customer_phone")
    upi: Paths = ("vpa", "paymentInfo.vpa", "payment_details.vpa")
    items: Paths = ("items",)
    item_id: Paths = ("id", "product_id")
    item_name: Paths = ("name", "product_name")
    item_price_major: Paths = ("price",)
    item_price_minor: Paths = ()
    item_quantity: Paths = ("quantity",)
    impersonal: Paths = (
        "tenantId", "machine_id", "qr_code_id", "items", "paymentInfo.paymentMethod", "paymentInfo.paymentStatus",
        "paymentInfo.bankCode", "paymentInfo.bankName", "payment_details.paymentMethod",
    )  # fmt: skip
    """What else of a record says nothing of a person."""


class StockFields(_Part):
    """Of an item of the inventory."""

    id: Paths = ("id",)
    name: Paths = ("name",)
    price_major: Paths = ("price",)
    price_minor: Paths = ()
    quantity: Paths = ("quantity",)
    slot: Paths = ("slot",)
    image: Paths = ("image",)


class _Collection(_Part):
    file: Annotated[str, AfterValidator(_safe_pattern)]
    collection: str
    """Its key in the file; "" when the file itself is the list."""
    machine: Annotated[str, Field(pattern=_WHOLE_FOLDER)] | None = None
    """All its records are of this one; else of the folder {machine}, or of what `machine_field` says."""
    machine_field: Paths = ()


class OrdersCollection(_Collection):
    """Orders of one file."""

    kind: Literal["orders"]
    fields: OrderFields = OrderFields()


class StockCollection(_Collection):
    """The inventory of one file."""

    kind: Literal["inventory"]
    fields: StockFields = StockFields()


Collection = Annotated[OrdersCollection | StockCollection, Field(discriminator="kind")]


class Statuses(_Part):
    """Which words of a status mean what, in small letters. Any other is told."""

    paid: Paths = ("paid", "captured", "completed", "success")
    pending: Paths = ("pending", "created")
    cancelled: Paths = ("cancelled", "canceled", "failed")
    expired: Paths = ("expired",)
    refunded: Paths = ("refunded",)


class MachinePart(_Part):
    """What is known of one machine, by what its folder is called."""

    tenant: UUID | None = None
    machine_id: UUID | None = None
    """One that is there already; else one is made."""
    name: Name | None = None
    site: Name | None = None
    time_zone: Zone | None = None
    currency: Currency | None = None


class Mapping(_Part):
    """All of it. What a file leaves out is as the prototype had it."""

    currency: Currency = "INR"
    minor_digits: Annotated[int, Field(ge=0, le=3)] = 2
    time_zone: Zone = "UTC"
    """Of times that name none."""
    pending_hours: Annotated[float, Field(ge=0)] = 24
    """A pending order that is older has expired."""
    rail: OrderRail = OrderRail.UPI_QR
    capacity: Annotated[int, Field(ge=1, le=1000)] = 10
    """Of a slot; one that holds more has room for that."""
    site: Name | None = None
    """At which machines stand that name none; else each has a site of its own: a gateway is of one site."""
    synthetic: Annotated[str, Field(min_length=1)] = "manual_"
    """With this begin the ids of payments that were made up by hand."""
    statuses: Statuses = Statuses()
    pictures: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ("{machine}/Inventory/product_images",)
    collections: Annotated[tuple[Collection, ...], Field(min_length=1)]
    machines: dict[Annotated[str, Field(pattern=_WHOLE_FOLDER)], MachinePart] = {}

    def minor(self, major: Decimal) -> Decimal:
        """Rupees in paise."""
        return major.scaleb(self.minor_digits)


PROTOTYPE = (
    OrdersCollection(file="{machine}/Orders/orders.db", collection="orders", kind="orders"),
    OrdersCollection(file="{machine}/Orders/orders.json", collection="orders", kind="orders"),
    OrdersCollection(file="{machine}/Orders/orders.json", collection="", kind="orders"),
    StockCollection(file="{machine}/Inventory/inventory.db", collection="inventory", kind="inventory"),
)
"""Its last file is the later export of an SQL database."""


def built_in() -> Mapping:
    """The prototype's."""
    return Mapping(collections=PROTOTYPE)


def read_mapping(text: str, file: str) -> Mapping:
    """The mapping in a TOML file of this name. Raises MappingRefused."""
    try:
        return Mapping.model_validate({"collections": PROTOTYPE} | tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise MappingRefused(f"{file}: {error}") from None
    except ValidationError as error:
        first, *more = error.errors(include_url=False, include_input=False)
        place = [str(part) for part in first["loc"] if part not in ("orders", "inventory")]
        others = f" (and {len(more)} more)" if more else ""
        raise MappingRefused(f"{file}{_line(text, place)}: {'.'.join(place)}: {first['msg']}{others}") from None


def _line(text: str, place: list[str]) -> str:
    """Where the last key of `place` is written, if it is once."""
    named = [part for part in place if not part.isdigit()]
    if not named:
        return ""
    key = re.compile(rf'\s*"?{re.escape(named[-1])}"?\s*=')
    lines = [number for number, line in enumerate(text.splitlines(), 1) if key.match(line)]
    return f", line {lines[0]}" if len(lines) == 1 else ""
