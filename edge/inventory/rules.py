"""What a slot can still promise."""

from shared.catalog import SlotState


def available(on_hand: int, reserved: int, *, sensed_empty: bool) -> int:
    """Units that may still be sold. The slot's own sensor beats the ledger when it says empty."""
    return 0 if sensed_empty else max(0, on_hand - reserved)


def slot_state(units: int, *, suspect: bool, locked: bool, online: bool) -> SlotState:
    """Whether a customer may choose the slot, and the first reason why not."""
    if not online:
        return SlotState.OFFLINE
    if locked:
        return SlotState.LOCKED
    if suspect:
        return SlotState.SUSPECT
    return SlotState.OK if units else SlotState.SOLD_OUT
