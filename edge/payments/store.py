"""SQL of payments and cash credit."""

import sqlite3
from uuid import UUID

from edge.database import Transaction
from shared.payments import CreditInserted, PaymentAttempted, PaymentState


def add_payment(tx: Transaction, machine_id: UUID, attempted: PaymentAttempted, state: PaymentState) -> None:
    """Insert a payment. An order has one at most, or sqlite3.IntegrityError is raised."""
    tx.run(
        "INSERT INTO payments (payment_id, order_id, machine_id, rail, currency, amount_minor, state) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        str(attempted.payment_id),
        str(attempted.order_id),
        str(machine_id),
        attempted.rail,
        attempted.currency,
        attempted.amount_minor,
        state,
    )


def find(tx: Transaction, order_id: UUID) -> sqlite3.Row | None:
    """The payment of an order, if it has been attempted."""
    return tx.one("SELECT * FROM payments WHERE order_id = ?", str(order_id))


def payment(tx: Transaction, order_id: UUID) -> sqlite3.Row:
    """The payment of an order; each order has one."""
    row = find(tx, order_id)
    if row is None:
        raise LookupError(f"order {order_id} has no payment")
    return row


def is_awaited(tx: Transaction, machine_id: UUID) -> bool:
    """Whether the machine has a payment whose money is not there yet."""
    sql = "SELECT 1 FROM payments WHERE machine_id = ? AND state = ?"
    return tx.one(sql, str(machine_id), PaymentState.PENDING) is not None


def set_state(tx: Transaction, payment_id: str, state: PaymentState) -> None:
    """Move the payment on."""
    tx.run("UPDATE payments SET state = ? WHERE payment_id = ?", state, payment_id)


def move_on(tx: Transaction, payment_id: UUID, before: PaymentState, after: PaymentState) -> bool:
    """Move the payment from one state to the next; false if it is not in the first."""
    sql = "UPDATE payments SET state = ? WHERE payment_id = ? AND state = ?"
    return tx.run(sql, after, str(payment_id), before) > 0


def add_captured(tx: Transaction, payment_id: str, amount_minor: int) -> None:
    """Earn a part of the payment."""
    tx.run("UPDATE payments SET captured_minor = captured_minor + ? WHERE payment_id = ?", amount_minor, payment_id)


def add_given_back(tx: Transaction, payment_id: str, amount_minor: int) -> None:
    """Give a part of the payment back."""
    tx.run("UPDATE payments SET given_back_minor = given_back_minor + ? WHERE payment_id = ?", amount_minor, payment_id)


def add_credit(tx: Transaction, inserted: CreditInserted) -> bool:
    """Count a coin or note; false if it was counted before."""
    return (
        tx.run(
            "INSERT OR IGNORE INTO credits (credit_id, machine_id, device_id, amount_minor, currency) "
            "VALUES (?, ?, ?, ?, ?)",
            str(inserted.credit_id),
            str(inserted.machine_id),
            str(inserted.device_id),
            inserted.amount_minor,
            inserted.currency,
        )
        > 0
    )


def balance(tx: Transaction, machine_id: UUID) -> int:
    """Cash credit of the machine, in minor units; in the midst of a recall it may be less than nothing."""
    row = tx.one("SELECT amount_minor FROM credit_balances WHERE machine_id = ?", str(machine_id))
    return max(0, row["amount_minor"]) if row else 0


def forgive_debts(tx: Transaction) -> dict[str, int]:
    """Raise what is below zero to zero; how much that was, by machine."""
    sql = "SELECT machine_id, -amount_minor AS debt FROM credit_balances WHERE amount_minor < 0"
    debts = {row["machine_id"]: row["debt"] for row in tx.all(sql)}
    tx.run("UPDATE credit_balances SET amount_minor = 0 WHERE amount_minor < 0")
    return debts


def add_balance(tx: Transaction, machine_id: UUID, amount_minor: int) -> None:
    """Change the machine's credit."""
    tx.run(
        "INSERT INTO credit_balances (machine_id, amount_minor) VALUES (?1, ?2) "
        "ON CONFLICT (machine_id) DO UPDATE SET amount_minor = amount_minor + ?2",
        str(machine_id),
        amount_minor,
    )
