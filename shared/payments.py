"""Money facts. Each authorised amount ends captured or given back, vend by vend."""

from enum import StrEnum
from typing import Literal
from uuid import UUID

from shared.contract import Currency, Message, Minor, Rail


class PaymentState(StrEnum):
    """Of the one payment of an order on the rails `free` and `cash`."""

    PENDING = "pending"
    AUTHORISED = "authorised"
    SETTLED = "settled"
    VOIDED = "voided"


class CreditInserted(Message):
    """Fact: a coin or note went into the machine and stands as credit."""

    event: Literal["credit_inserted"] = "credit_inserted"
    credit_id: UUID
    machine_id: UUID
    device_id: UUID
    amount_minor: Minor
    currency: Currency


class PaymentAttempted(Message):
    """Fact: the order asks for this money."""

    event: Literal["payment_attempted"] = "payment_attempted"
    payment_id: UUID
    order_id: UUID
    rail: Rail
    amount_minor: Minor
    currency: Currency


class PaymentAuthorised(Message):
    """Fact: the whole amount is held (cash: taken from the machine's credit)."""

    event: Literal["payment_authorised"] = "payment_authorised"
    payment_id: UUID
    order_id: UUID
    amount_minor: Minor
    currency: Currency


class PaymentCaptured(Message):
    """Fact: this vend was dispensed and its price is earned."""

    event: Literal["payment_captured"] = "payment_captured"
    payment_id: UUID
    order_id: UUID
    vend_id: UUID
    amount_minor: Minor
    currency: Currency


class PaymentGivenBack(Message):
    """Fact: this vend was not dispensed and its price went back (cash: to the machine's credit)."""

    event: Literal["payment_given_back"] = "payment_given_back"
    payment_id: UUID
    order_id: UUID
    vend_id: UUID
    amount_minor: Minor
    currency: Currency


class PaymentVoided(Message):
    """Fact: the order ended before its money was held; nothing was taken."""

    event: Literal["payment_voided"] = "payment_voided"
    payment_id: UUID
    order_id: UUID
    amount_minor: Minor
    currency: Currency
