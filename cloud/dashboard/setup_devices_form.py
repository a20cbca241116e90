"""The devices of a machine, between a form and what a setup keeps. Pure."""

import json

from cloud import web
from cloud.configuration.rules import MAX_TEXT
from cloud.dashboard.forms import Form
from cloud.dashboard.pin_maps import EXAMPLES, example
from cloud.dashboard.setup_site_form import refused
from cloud.errors import Refused
from cloud.templates.rules import MOST_DEVICES, MachineOutline, OutlineDevice, Wiring

MOST_BYTES = 3 * MOST_DEVICES * MAX_TEXT
"""Of the form as it is sent, where a sign may take three bytes."""
NEW = "new"
"""In place of a row's number: the device that is added."""


def devices_form(outline: MachineOutline) -> Form:
    """The devices as they are kept."""
    values: dict[str, list[str]] = {}
    for place, device in enumerate(outline.devices):
        values[f"device-{place}"] = [device.name]
        values[f"wiring-{place}"] = ["" if device.wiring is None else wiring_text(device.wiring)]
    return Form(values)


def rows_of(form: Form) -> list[int]:
    """The numbers of the devices that a form has."""
    return [place for place in range(MOST_DEVICES) if f"device-{place}" in form.values]


def outline_of(form: Form, before: MachineOutline) -> MachineOutline:
    """The outline with its devices as the form says; slots follow a device that is called otherwise now, and the only
    one that is left. Raises Refused with all that is wrong."""
    errors: dict[str, str] = {}
    names = {place: _name(form, str(place), errors) for place in rows_of(form) if not form.get(f"remove-{place}")}
    added = _name(form, NEW, errors) if form.get(f"device-{NEW}").strip() else None
    if len(names) + bool(added) > MOST_DEVICES:
        errors[f"device-{NEW}"] = f"A machine has {MOST_DEVICES} devices at most."
    before = _followed(before, names, added)
    devices = [
        OutlineDevice(name=name, wiring=_wiring(form, place, _codes(before, name), errors))
        for place, name in names.items()
        if name
    ]
    if errors:
        raise refused(errors)
    if added:
        devices.append(OutlineDevice(name=added))
    return before.model_copy(update={"devices": tuple(devices)})


def has_example(form: Form) -> bool:
    """Whether a pin map was asked for, which is then to be looked at."""
    return any(form.get(f"example-{place}") for place in rows_of(form))


def wiring_text(wiring: Wiring) -> str:
    """As people read it: one slot, or one part of the board, a line."""
    parts = {name: part for name, part in wiring.model_dump(mode="json").items() if part}
    blocks = []
    for name, part in parts.items():
        lines = ",\n".join(f"    {json.dumps(key)}: {json.dumps(value)}" for key, value in part.items())
        blocks.append(f"  {json.dumps(name)}: {{\n{lines}\n  }}")
    return "{\n" + ",\n".join(blocks) + "\n}"


def _followed(outline: MachineOutline, names: dict[int, str], added: str | None) -> MachineOutline:
    renamed = {device.name: names.get(place, "") or device.name for place, device in enumerate(outline.devices)}
    left = [name for name in (*names.values(), added) if name]
    only = left[0] if len(left) == 1 else None
    slots = [
        slot.model_copy(update={"device": only or renamed.get(slot.device, slot.device)}) for slot in outline.slots
    ]
    return outline.model_copy(update={"slots": tuple(slots)})


def _codes(outline: MachineOutline, device: str) -> list[str]:
    return [slot.slot for slot in outline.slots if slot.device == device]


def _name(form: Form, row: str, errors: dict[str, str]) -> str:
    name = form.get(f"device-{row}").strip()
    if not 1 <= len(name) <= 120:
        errors[f"device-{row}"] = "Give the device a name, of 120 characters at most."
        return ""
    return name


def _wiring(form: Form, place: int, codes: list[str], errors: dict[str, str]) -> Wiring | None:
    field = f"wiring-{place}"
    if key := form.get(f"example-{place}"):
        made = example(key, codes)
        if made is None:
            most = next((one.most for one in EXAMPLES if one.key == key), 0)
            errors[field] = f"This example is for 1 to {most} slots; the device has {len(codes)}."
            return None
        return Wiring.model_validate(made)
    text = form.get(field).strip()
    if not text:
        return None
    try:
        json.loads(text)
        return web.parse(Wiring, text.encode())
    except json.JSONDecodeError as error:
        errors[field] = f"This is no JSON: {error.msg.lower()} in line {error.lineno}, column {error.colno}."
    except ValueError:
        errors[field] = "A number in it has too many digits."
    except RecursionError:
        errors[field] = "This is nested too deeply."
    except Refused as error:
        errors[field] = "; ".join(f"{one.path or 'it'} {one.message}" for one in error.errors[:3]) or error.detail
    return None
