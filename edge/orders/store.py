"""SQL of orders and their vends."""

import sqlite3
from uuid import UUID

from edge.clock import Moment
from edge.database import Transaction
from shared.orders import OrderPlaced, OrderState, VendOutcome


def add_order(
    tx: Transaction, placed: OrderPlaced, state: OrderState, key: UUID, request_sha256: str, at: Moment
) -> None:
    """Insert an order."""
    tx.run(
        "INSERT INTO orders (order_id, idempotency_key, request_sha256, machine_id, rail, currency, total_minor, "
        "planogram_version, state, placed_at, window_boot, window_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        str(placed.order_id),
        str(key),
        request_sha256,
        str(placed.machine_id),
        placed.rail,
        placed.currency,
        placed.total_minor,
        placed.planogram_version,
        state,
        placed.placed_at.isoformat(),
        str(at.boot_id),
        at.ms,
    )


def add_vends(tx: Transaction, placed: OrderPlaced, devices: dict[str, UUID]) -> None:
    """Insert the order's vends, waiting, in order. `devices` names the device of each slot."""
    tx.run_many(
        "INSERT INTO vends (vend_id, order_id, position, machine_id, device_id, slot, product_id, product_name, "
        "price_minor, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'waiting')",
        [
            (
                str(vend.vend_id),
                str(placed.order_id),
                position,
                str(placed.machine_id),
                str(devices[vend.slot]),
                vend.slot,
                str(vend.product_id),
                vend.product_name,
                vend.price_minor,
            )
            for position, vend in enumerate(placed.vends)
        ],
    )


def order(tx: Transaction, order_id: UUID) -> sqlite3.Row | None:
    """The order's row."""
    return tx.one("SELECT * FROM orders WHERE order_id = ?", str(order_id))


def order_by_key(tx: Transaction, key: UUID) -> sqlite3.Row | None:
    """The order a kiosk placed with this idempotency key."""
    return tx.one("SELECT * FROM orders WHERE idempotency_key = ?", str(key))


def open_orders(tx: Transaction) -> list[sqlite3.Row]:
    """Orders in no terminal state that may be moved on, oldest first."""
    # Left alone, SQLite would rather read all orders there ever were than sort these few.
    return tx.all(
        "SELECT * FROM orders INDEXED BY orders_open "
        "WHERE state IN ('placed', 'authorised', 'dispensing') AND NOT recalled ORDER BY order_id"
    )


def is_open_at(tx: Transaction, device_id: UUID) -> bool:
    """Whether an order that has not ended wants something of this device."""
    sql = (
        "SELECT 1 FROM orders INDEXED BY orders_open JOIN vends USING (order_id) "
        "WHERE orders.state IN ('placed', 'authorised', 'dispensing') AND vends.device_id = ? LIMIT 1"
    )
    return tx.one(sql, str(device_id)) is not None


def count_by_state(tx: Transaction) -> dict[str, int]:
    """How many orders are in each state."""
    return {row["state"]: row["n"] for row in tx.all("SELECT state, count(*) AS n FROM orders GROUP BY state")}


def set_state(tx: Transaction, order_id: UUID, state: OrderState) -> None:
    """Move the order on."""
    tx.run("UPDATE orders SET state = ? WHERE order_id = ?", state, str(order_id))


def advance_to(tx: Transaction, order_id: UUID, state: OrderState, at: Moment) -> None:
    """Move the order on; the customer has just seen that happen."""
    sql = "UPDATE orders SET state = ?, window_boot = ?, window_ms = ? WHERE order_id = ?"
    tx.run(sql, state, str(at.boot_id), at.ms, str(order_id))


def begin_window(tx: Transaction, order_id: UUID, at: Moment) -> None:
    """The customer has just seen something happen."""
    sql = "UPDATE orders SET window_boot = ?, window_ms = ? WHERE order_id = ?"
    tx.run(sql, str(at.boot_id), at.ms, str(order_id))


def vends(tx: Transaction, order_id: UUID) -> list[sqlite3.Row]:
    """The order's vends in order."""
    return tx.all("SELECT * FROM vends WHERE order_id = ? ORDER BY position", str(order_id))


def vend(tx: Transaction, vend_id: UUID) -> sqlite3.Row | None:
    """One vend."""
    return tx.one("SELECT * FROM vends WHERE vend_id = ?", str(vend_id))


def waiting(tx: Transaction, device_id: UUID) -> list[sqlite3.Row]:
    """The device's vends of authorised orders that are yet to be asked for: oldest order first."""
    return tx.all(
        "SELECT vends.* FROM vends JOIN orders USING (order_id) "
        "WHERE device_id = ? AND vends.state = 'waiting' AND orders.state IN ('authorised', 'dispensing') "
        "AND NOT recalled ORDER BY order_id, position",
        str(device_id),
    )


def set_requested(tx: Transaction, vend_id: UUID) -> None:
    """The vend's command is committed (G3)."""
    tx.run("UPDATE vends SET state = 'requested' WHERE vend_id = ?", str(vend_id))


def set_outcome(tx: Transaction, vend_id: UUID, outcome: VendOutcome) -> bool:
    """Give the vend its one outcome, with what follows for its money in the same unit; false if it has one."""
    sql = "UPDATE vends SET state = 'done', outcome = ?, money_settled = 1 WHERE vend_id = ? AND outcome IS NULL"
    return tx.run(sql, outcome, str(vend_id)) > 0


def set_told_outcome(tx: Transaction, vend_id: UUID, outcome: VendOutcome) -> bool:
    """Give the vend the outcome a recalled fact tells, its money aside; false if it has one."""
    sql = "UPDATE vends SET state = 'done', outcome = ? WHERE vend_id = ? AND outcome IS NULL"
    return tx.run(sql, outcome, str(vend_id)) > 0


def set_money_settled(tx: Transaction, vend_id: UUID) -> bool:
    """Note that the money of the vend is settled; false if it was, or if the vend is not known."""
    return tx.run("UPDATE vends SET money_settled = 1 WHERE vend_id = ? AND NOT money_settled", str(vend_id)) > 0


def set_told_request(tx: Transaction, vend_id: UUID, device_id: UUID) -> bool:
    """A recalled fact tells that this device was asked for the vend; false if that is known."""
    sql = "UPDATE vends SET state = 'requested', device_id = ? WHERE vend_id = ? AND state = 'waiting'"
    return tx.run(sql, str(device_id), str(vend_id)) > 0


def advance(tx: Transaction, order_id: UUID, state: OrderState) -> bool:
    """Move an order on that is open; false if it has ended."""
    sql = "UPDATE orders SET state = ?, recalled = 1 WHERE order_id = ? AND state IN "
    return tx.run(sql + "('placed', 'authorised', 'dispensing')", state, str(order_id)) > 0


def hold(tx: Transaction, order_id: UUID) -> None:
    """Let nothing move the order until all is recalled."""
    tx.run("UPDATE orders SET recalled = 1 WHERE order_id = ?", str(order_id))


def hold_open(tx: Transaction) -> None:
    """Let nothing move the open orders until all is recalled."""
    tx.run("UPDATE orders SET recalled = 1 WHERE state IN ('placed', 'authorised', 'dispensing')")


def is_recalled(tx: Transaction, order_id: UUID) -> bool:
    """Whether the order was open when the ledger was restored, or is only known from the cloud."""
    return tx.one("SELECT 1 FROM orders WHERE order_id = ? AND recalled", str(order_id)) is not None


def recalled_orders(tx: Transaction) -> list[sqlite3.Row]:
    """Open orders that nothing moves, oldest first."""
    return tx.all(
        "SELECT * FROM orders INDEXED BY orders_open "
        "WHERE state IN ('placed', 'authorised', 'dispensing') AND recalled ORDER BY order_id"
    )


def set_unpaid_drop(tx: Transaction, vend_id: UUID) -> bool:
    """Note that the product fell after the money had been given back; false if that is known."""
    return tx.run("UPDATE vends SET unpaid_drop = 1 WHERE vend_id = ? AND NOT unpaid_drop", str(vend_id)) > 0
