"""`python -m tests.contract.export` writes the JSON Schema of what crosses a wire to tests/contract/schemas/.

The files are committed and compared by a test, so that a change of the wire is always seen, and meant.
"""

import json
from inspect import getmembers, isclass
from pathlib import Path
from types import ModuleType

from shared import (
    catalog,
    climate,
    devices,
    inventory,
    onboarding,
    orders,
    parcels,
    payments,
    releases,
    signed,
    sync,
    upkeep,
)
from shared.contract import Message
from shared.errors import Problem

FOLDER = Path(__file__).with_name("schemas")
MODULES: tuple[ModuleType, ...] = (
    catalog,
    climate,
    devices,
    inventory,
    onboarding,
    orders,
    parcels,
    payments,
    releases,
    signed,
    sync,
    upkeep,
)


def models() -> dict[str, type[Message]]:
    """Every message, fact and change of the contract, by `module.Name`."""
    found: dict[str, type[Message]] = {"errors.Problem": Problem}
    for module in MODULES:
        for name, model in getmembers(module, isclass):
            if issubclass(model, Message) and model.__module__ == module.__name__:
                found[f"{module.__name__.rpartition('.')[2]}.{name}"] = model
    return found


def schemas() -> dict[str, str]:
    """File name → its text."""
    return {
        f"{name}.json": json.dumps(model.model_json_schema(), indent=2, sort_keys=True) + "\n"
        for name, model in models().items()
    }


def write() -> None:
    """Make the folder hold exactly the schemas of now."""
    FOLDER.mkdir(exist_ok=True)
    wanted = schemas()
    for path in FOLDER.glob("*.json"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    write()
