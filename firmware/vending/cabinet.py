"""The machine around the board, as the device's software asks for it. board.py puts it together and is forgotten."""

import gc
from collections import namedtuple

from . import TYPE_CHECKING, const
from .borrowed import borrow
from .lines import PLACES

if TYPE_CHECKING:
    import socket
    import ssl

    from .settings import Settings

_ADC_LOOKS = const(8)
"""A motor's current is chopped: one look says little."""

Fitted = namedtuple(
    "Fitted",
    (
        "drive",
        "enables",
        "outputs",
        "inputs",
        "acceptors",
        "homes",
        "empties",
        "door",
        "defrost",
        "button",
        "beams",
        "adc",
        "current",
        "thermometers",
        "panel",
        "station",
        "watchdog",
        "reset",
        "reset_cause",
    ),
)
"""What there is: None, or empty, without it. `outputs` are the chips that drive something, the ESP32 itself first;
`enables` the pins that hold back what the others drive. `homes` and `empties` are the places of the slots' switches at
the chips `inputs` (lines.py), `door` and `defrost` pins with the level that they have when active, `beams` the drop
sensors by their chutes, `current` a wiring.Current."""


class Cabinet:
    """Motors, switches, sensors, acceptors and radio, wired by the pin map of `settings`: all that Hardware says."""

    def __init__(self, settings: "Settings", fitted: Fitted) -> None:
        self._wifi = settings.wifi
        self._slots = settings.slots
        self._has = fitted

    def motor_on(self, slot: str, label: str) -> None:
        """`label` says for which vend; only the simulator's world writes it down."""
        self._has.drive.start(slot)

    def motor_off(self, slot: str) -> None:
        self._has.drive.stop(slot)

    def make_safe(self) -> None:
        """Every output off, those first that no bus is needed for. Raises OSError if an expander is silent."""
        self._has.drive.forget()
        for enable in self._has.enables:
            enable.value(1)
        self.accept_money(False)
        for chip in self._has.outputs:
            chip.make_safe()

    def restart(self) -> None:
        """Boot again, at once."""
        self._has.reset()

    def home(self, slot: str) -> "bool | None":
        """Whether the home switch is closed; None without one."""
        return self._is_closed(self._has.homes.get(slot))

    def drops(self, slot: str) -> "int | None":
        """How often the drop sensor of the slot's chute has seen something since boot; None without one."""
        beam = self._beam(slot)
        return None if beam is None else beam.count()

    def beam_is_blocked(self, slot: str) -> bool:
        beam = self._beam(slot)
        return beam is not None and beam.is_blocked()

    def _beam(self, slot: str):
        return self._has.beams.get(self._slots[slot].chute)

    def is_empty(self, slot: str) -> "bool | None":
        """What the slot's own sensor says; None without one."""
        return self._is_closed(self._has.empties.get(slot))

    def _is_closed(self, place: "int | None") -> "bool | None":
        """Whether the switch of this place pulls its line low; None without one."""
        return None if place is None else self._has.inputs[place // PLACES].value(place % PLACES) == 0

    def current_ma(self, slot: str) -> "int | None":
        """There is one sensor for all motors: what it says is known of a motor that turns alone."""
        if self._has.adc is None or self._has.drive.count() > 1:
            return None
        uv = 0
        for _ in range(_ADC_LOOKS):
            uv += self._has.adc.read_uv()
        wired = self._has.current
        return max(0, uv // _ADC_LOOKS - 1000 * wired.zero_mv) // wired.mv_per_ampere

    def door_is_open(self) -> "bool | None":
        return _is_active(self._has.door)

    def is_defrosting(self) -> "bool | None":
        return _is_active(self._has.defrost)

    def button_is_pressed(self) -> bool:
        """It pulls its line low."""
        return self._has.button is not None and self._has.button.value() == 0

    def reset_cause(self) -> str:
        return self._has.reset_cause

    def temperatures(self) -> dict:
        return {} if self._has.thermometers is None else self._has.thermometers.look()

    def accept_money(self, allowed: bool) -> None:
        for acceptor in self._has.acceptors:
            acceptor.accept(allowed)

    def take_money(self) -> int:
        for acceptor in self._has.acceptors:
            amount_minor = acceptor.take()
            if amount_minor:
                return amount_minor
        return 0

    def signal(self, kind: str) -> None:
        if self._has.panel is not None:
            self._has.panel.show(kind)

    def feed_watchdog(self) -> None:
        self._has.watchdog.feed()

    def health(self) -> dict:
        station = self._has.station
        rssi_dbm = station.status("rssi") if station.isconnected() else None
        return {"free_bytes": gc.mem_free(), "rssi_dbm": rssi_dbm}

    def address(self) -> "str | None":
        """This device's IPv4 address."""
        return self._has.station.ifconfig()[0] if self._has.station.isconnected() else None

    async def join_network(self) -> None:
        """Be on the Wi-Fi of the settings, if any. Raises OSError."""
        await borrow("radio").join(self._has.station, self._wifi)

    async def open_stream(self, host: str, port: int, context: "ssl.SSLContext", server_name: str) -> tuple:
        return await borrow("radio").open_stream(host, port, context, server_name)

    def open_udp(self, port: int) -> "socket.socket":
        return borrow("radio").open_udp(self._has.station, port)


def _is_active(switch: "tuple | None") -> "bool | None":
    return None if switch is None else switch[0].value() == switch[1]
