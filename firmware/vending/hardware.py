"""What the device's software needs of its hardware: the contract of cabinet.py and of the simulator's fake board.

It is in nobody's RAM: at run time no module that stays imports it, and the cabinet does not derive from it.
"""

import asyncio
import socket
import ssl

POWER_ON = "power_on"
WATCHDOG = "watchdog"
BROWNOUT = "brownout"
SOFTWARE = "software"
DEEP_SLEEP = "deep_sleep"
OTHER = "other"
RESET_CAUSES = (POWER_ON, WATCHDOG, BROWNOUT, SOFTWARE, DEEP_SLEEP, OTHER)
"""Why a board has booted."""


class Hardware:
    """Slots are named by their codes. A sensor that is not fitted says None. Nothing but `open_stream` blocks.

    A board that has just been made is safe: every motor is off, and money is not accepted.
    """

    def motor_on(self, slot: str, label: str) -> None:
        """Let the motor turn. `label` says for which vend: a real board has no use for it, a simulated world has.

        Raises ValueError, and moves nothing, while another motor turns that hangs on the same lines, as in a matrix.
        """
        raise NotImplementedError

    def motor_off(self, slot: str) -> None:
        """Stop it at once; harmless if it stands."""
        raise NotImplementedError

    def make_safe(self) -> None:
        """Every motor off, whatever the program knows of them, and no money taken."""
        raise NotImplementedError

    def home(self, slot: str) -> "bool | None":
        """Whether the home switch is closed: it is at home, and at each of the slot's `home_edges` on the way."""
        raise NotImplementedError

    def drops(self, slot: str) -> "int | None":
        """How often the drop sensor of the slot's chute has seen a product fall since boot."""
        raise NotImplementedError

    def beam_is_blocked(self, slot: str) -> bool:
        """Whether something is in the beam of that drop sensor now, or it is dead; False without one.

        What falls then is not seen.
        """
        raise NotImplementedError

    def is_empty(self, slot: str) -> "bool | None":
        """What the slot's own sensor says."""
        raise NotImplementedError

    def current_ma(self, slot: str) -> "int | None":
        """What the slot's motor draws at this moment; None also while that cannot be told from what others draw."""
        raise NotImplementedError

    def door_is_open(self) -> "bool | None":
        """What the door's switch says."""
        raise NotImplementedError

    def is_defrosting(self) -> "bool | None":
        """What the cooling's own controller says."""
        raise NotImplementedError

    def button_is_pressed(self) -> bool:
        """Whether somebody holds the button that makes the device forget what it was told; no without one."""
        raise NotImplementedError

    def reset_cause(self) -> str:
        """Why the board has booted: one of RESET_CAUSES."""
        raise NotImplementedError

    def temperatures(self) -> "dict[str, int | None]":
        """Zone → hundredths of a degree Celsius, as measured last; None for a sensor that does not answer.

        Asking is what makes it measure: to be called about once a second. A value is a few seconds old then.
        """
        raise NotImplementedError

    def accept_money(self, allowed: bool) -> None:
        """Whether coin and note acceptor take money; without this they do not. What they took before still counts.

        To be called many times a second.
        """
        raise NotImplementedError

    def take_money(self) -> int:
        """Minor units of the next coin or note that was inserted and not yet taken; 0 if there is none."""
        raise NotImplementedError

    def signal(self, kind: str) -> None:
        """Let LED and buzzer tell one of these kinds until the next; the same one again changes nothing."""
        raise NotImplementedError

    def restart(self) -> None:
        """Boot again, at once, and come back from this in tests only."""
        raise NotImplementedError

    def feed_watchdog(self) -> None:
        """Without it for 30 s the board restarts."""
        raise NotImplementedError

    def health(self) -> dict:
        """`free_bytes` of memory, `rssi_dbm` of the radio; whoever asks may add to it."""
        raise NotImplementedError

    def address(self) -> "str | None":
        """This device's IPv4 address, None without a network."""
        raise NotImplementedError

    async def join_network(self) -> None:
        """Be on the network. Raises OSError."""
        raise NotImplementedError

    async def open_stream(
        self, host: str, port: int, context: ssl.SSLContext, server_name: str
    ) -> "tuple[asyncio.StreamReader, asyncio.StreamWriter]":
        """TLS over TCP without Nagle's delay; the server must prove to be `server_name`. Raises OSError.

        Not to be called while a motor turns: the handshake may block for a second or two.
        """
        raise NotImplementedError

    def open_udp(self, port: int) -> socket.socket:
        """A socket that does not block; a member of the multicast DNS group unless `port` is 0. Raises OSError."""
        raise NotImplementedError
