"""The steps of a setup: which there are, how each stands, and where a problem is mended. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal
from uuid import UUID

from cloud.setups.rules import SetupRow

HERE = "/setups"
Standing = Literal["open", "bad", "done"]


class Step(StrEnum):
    """In their order."""

    SITE = "site"
    GATEWAY = "gateway"
    MACHINES = "machines"
    DEVICES = "devices"
    REVIEW = "review"


LABELS: Mapping[Step, str] = {
    Step.SITE: "Site",
    Step.GATEWAY: "Gateway",
    Step.MACHINES: "Machines",
    Step.DEVICES: "Devices",
    Step.REVIEW: "Review",
}
STANDINGS: Mapping[Standing, str] = {"open": "", "bad": "has problems", "done": "done"}


@dataclass(frozen=True)
class StepLink:
    """A step as the bar shows it."""

    label: str
    href: str
    standing: Standing
    is_current: bool

    @property
    def told(self) -> str:
        """How it stands, in words."""
        return STANDINGS[self.standing]


@dataclass(frozen=True)
class Trouble:
    """A problem, and where it is mended."""

    message: str
    step: Step
    href: str


def path_of(setup_id: UUID, step: Step | None = None) -> str:
    """Where a setup is, or one of its steps."""
    return f"{HERE}/{setup_id}/{step}" if step else f"{HERE}/{setup_id}"


def step_of(path: str) -> Step:
    """Whose problem it is, by its path in a SetupRow."""
    match path.split("."):
        case ["site", *_]:
            return Step.SITE
        case ["machines", _, "outline", "devices", *_]:
            return Step.DEVICES
        case ["machines", *_]:
            return Step.MACHINES
        case _:
            return Step.GATEWAY


def field_of(path: str) -> str:
    """The field of the step's form that a problem belongs to; "" for the whole of it."""
    match path.split("."):
        case ["site", "new", field]:
            return field
        case ["site", *_]:
            return "site"
        case ["machines", _, "outline", "slots", place, field]:
            return f"{_SLOT_FIELDS.get(field, field)}-{place}"
        case ["machines", _, "outline", "devices", place, *_]:
            return f"wiring-{place}"
        case ["gateway_name"]:
            return "gateway_name"
        case ["wifi", field]:
            return field
        case _:
            return ""


def machine_of(path: str) -> int | None:
    """The place of the machine that a problem is of; None if it is of none."""
    match path.split("."):
        case ["machines", place, *_]:
            return int(place)
        case _:
            return None


def problems_of(setup: SetupRow, step: Step, machine: int | None = None) -> dict[str, str]:
    """What a step's form says of its fields: the first problem of each, of one machine where `machine` says so."""
    found: dict[str, str] = {}
    for problem in setup.problems:
        if step_of(problem.path) is step and machine_of(problem.path) == machine:
            found.setdefault(field_of(problem.path), problem.message)
    return found


def has_begun(setup: SetupRow, step: Step) -> bool:
    """Whether something is kept of a step: before that, nothing about it is called wrong."""
    match step:
        case Step.SITE:
            return setup.site is not None
        case Step.GATEWAY:
            is_there = setup.site is not None and setup.site.site_id is not None
            is_wanting = any(step_of(problem.path) is step for problem in setup.problems)
            return setup.gateway_name is not None or (is_there and not is_wanting)
        case Step.MACHINES:
            return bool(setup.machines)
        case Step.DEVICES:
            return any(device.wiring for machine in setup.machines for device in machine.outline.devices)
        case Step.REVIEW:
            return False


def standing(setup: SetupRow, step: Step) -> Standing:
    """How a step stands."""
    if not has_begun(setup, step):
        return "open"
    return "bad" if any(step_of(problem.path) is step for problem in setup.problems) else "done"


def bar(setup: SetupRow, current: Step) -> list[StepLink]:
    """All steps, in their order."""
    return [
        StepLink(LABELS[step], path_of(setup.setup_id, step), standing(setup, step), step is current) for step in Step
    ]


def next_step(setup: SetupRow) -> Step:
    """Where somebody who comes back goes on: the first step that is not done."""
    return next(step for step in Step if step is Step.REVIEW or standing(setup, step) != "done")


def troubles(setup: SetupRow) -> list[Trouble]:
    """All that keeps it from being finished, each with the way to where it is mended."""
    return [
        Trouble(_named(setup, problem.path, problem.message), step_of(problem.path), _mended_at(setup, problem.path))
        for problem in setup.problems
    ]


def _named(setup: SetupRow, path: str, message: str) -> str:
    place = machine_of(path)
    sentence = message if message.endswith(".") else f"{message}."
    match path.split("."):
        case ["machines", _, "outline", "slots", slot, *_] if place is not None:
            machine = setup.machines[place]
            return f"{machine.name}, slot {machine.outline.slots[int(slot)].slot}: {sentence}"
        case ["machines", _, *_] if place is not None:
            return f"{setup.machines[place].name}: {sentence}"
        case _:
            return sentence


def _mended_at(setup: SetupRow, path: str) -> str:
    step, place, field = step_of(path), machine_of(path), field_of(path)
    where = path_of(setup.setup_id, step)
    machine = "" if place is None else f"/{setup.machines[place].machine_id}"
    return f"{where}{machine}?look=1" + (f"#{field}" if field else "")


_SLOT_FIELDS = {"product_id": "product", "product_name": "product", "price_minor": "price", "par_level": "par"}
