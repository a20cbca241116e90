"""Commands of before: heard again from the cloud, or open in a restored backup.

Nothing is known of them but their numbers. They are held until all is recalled; then the device is asked.
"""

from uuid import UUID

from edge.database import Transaction
from edge.devices.service import DeviceService
from edge.dispensing import store
from shared.orders import VendOutcome, VendRequested


def hold_open(tx: Transaction) -> None:
    """Hold what is open in a restored backup: its device may do other things meanwhile."""
    store.hold_open(tx)


def requested(tx: Transaction, devices: DeviceService, machine_id: UUID, fact: VendRequested) -> None:
    """Hold a command, once; its number is never used again."""
    number = fact.device_epoch, fact.device_seq
    store.hold(tx, fact.vend_id, machine_id, fact.device_id, fact.slot, number)
    devices.skip_number(tx, fact.device_id, *number)


def resolved(tx: Transaction, vend_id: UUID, outcome: VendOutcome) -> None:
    """The vend had its outcome: nothing is to be asked."""
    if not store.drop_held(tx, vend_id):
        store.end_dispense(tx, vend_id, outcome)


def is_pending(tx: Transaction, vend_id: UUID) -> bool:
    """Whether the device can still be asked what became of the vend. What cannot is forgotten."""
    row = store.dispense(tx, vend_id)
    if row is not None:
        return bool(row["state"] != "ended")
    if store.is_resumable(tx, vend_id):
        return True
    store.drop_held(tx, vend_id)
    return False


def finish(tx: Transaction) -> list[UUID]:
    """From now on what is held may be taken up; the devices that have such commands."""
    return store.release_held(tx)
