"""A signed text is offered: settings or a release. Each is taken by code of its own."""

from .borrowed import borrow, give_back

TAKERS: dict = {
    "settings": (
        "reconfigure",
        "trial",
        "settings_file",
        "signed",
        "settings",
        "checks",
        "wiring",
        "pins",
        "restart",
        "requests",
        "exchange",
        "greeting",
        "sockets",
    ),
    "release": (
        "ota",
        "release",
        "standing",
        "progress",
        "slots",
        "signed",
        "ed25519",
        "restart",
        "requests",
        "exchange",
    ),
}
"""Purpose → the modules it takes; of the first `perform` is run."""


async def perform(parts, fields: dict) -> None:
    """The errand. An offer that nobody here can take is dropped."""
    names = TAKERS.get(fields["purpose"])
    if names is None:
        return
    try:
        await borrow(names[0]).perform(parts, fields)
    finally:
        give_back(*names)
