"""A machine in words: what is in its slots, what of it is new, and what is other than at its template. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from cloud.dashboard.setup_slots import Products
from cloud.dashboard.wording import money
from cloud.setups.rules import DraftMachine
from cloud.templates.rules import MachineOutline, OutlineSlot
from shared.contract import Rail

RAIL_WORDS = {Rail.CASH: "coins and notes", Rail.FREE: "nothing: products are free"}


@dataclass(frozen=True)
class MachineWords:
    """A machine as the review and its template's page tell of it."""

    name: str
    paid_with: str
    devices: tuple[tuple[str, str], ...]
    """Names, and how they are wired."""
    slots: tuple[OutlineSlot, ...]
    new_products: tuple[str, ...]
    template: str
    """The name of the template it was made by; "" for none."""
    differences: tuple[str, ...]


def told(name: str, outline: MachineOutline) -> MachineWords:
    """An outline under a name."""
    fresh = dict.fromkeys(slot.product_name for slot in outline.slots if slot.product_name)
    wired = tuple((device.name, _wired(outline, device.name)) for device in outline.devices)
    return MachineWords(name, RAIL_WORDS[outline.rail], wired, outline.slots, tuple(fresh), "", ())


def told_beside(
    machine: DraftMachine, template: tuple[str, MachineOutline] | None, currency: str, products: Products
) -> MachineWords:
    """A machine of a setup, beside the template it was made by (its name and outline), if there is one."""
    words = told(machine.name, machine.outline)
    if template is None:
        return words
    name, before = template
    found = tuple(differences(machine.outline, before, currency, products))
    return MachineWords(words.name, words.paid_with, words.devices, words.slots, words.new_products, name, found)


def differences(outline: MachineOutline, template: MachineOutline, currency: str, products: Products) -> Iterator[str]:
    """What a machine has otherwise than its template, a sentence each."""
    if outline.rail is not template.rail:
        yield f"People pay with {RAIL_WORDS[outline.rail]}."
    there = {slot.slot: slot for slot in template.slots}
    for slot in outline.slots:
        was = there.pop(slot.slot, None)
        if was is None:
            yield f"Slot {slot.slot} is one more."
        else:
            yield from _of_slot(slot, was, currency, products)
    for code in there:
        yield f"Slot {code} is left out."
    wiring = {device.name: device.wiring for device in template.devices}
    for device in outline.devices:
        if device.name not in wiring:
            yield f"Device {device.name} is one more, or is called otherwise."
        elif device.wiring != wiring[device.name]:
            yield f"Device {device.name} has another pin map."


def _of_slot(slot: OutlineSlot, was: OutlineSlot, currency: str, products: Products) -> Iterator[str]:
    now, then = products.name_of(slot) or "nothing", products.name_of(was) or "nothing"
    if now != then:
        yield f"Slot {slot.slot} has {now}, not {then}."
    if slot.price_minor != was.price_minor:
        yield f"Slot {slot.slot} costs {money(slot.price_minor, currency)}, not {money(was.price_minor, currency)}."
    if slot.capacity != was.capacity:
        yield f"Slot {slot.slot} has room for {slot.capacity}, not {was.capacity}."
    if slot.par_level != was.par_level:
        yield f"Slot {slot.slot} is filled at {slot.par_level}, not {was.par_level}."


def _wired(outline: MachineOutline, name: str) -> str:
    wiring = next(device.wiring for device in outline.devices if device.name == name)
    return "to be wired later" if wiring is None else f"{len(wiring.slots)} slots wired"
