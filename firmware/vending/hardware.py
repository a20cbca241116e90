"""What the device's software needs of its hardware: the contract of board.py and of the simulator's fake board."""

import asyncio
import socket
import ssl


class Hardware:
    """Slots are named by their codes. A sensor that is not fitted says None. Nothing but `open_stream` blocks."""

    def motor_on(self, slot: str, label: str) -> None:
        """Raise the motor's pin. `label` says for which vend: a real board has no use for it, a simulated world has."""
        raise NotImplementedError

    def motor_off(self, slot: str) -> None:
        """Lower it; harmless if it is low."""
        raise NotImplementedError

    def make_safe(self) -> None:
        """Lower the pin of every motor, whatever the program knows of them."""
        raise NotImplementedError

    def home(self, slot: str) -> "bool | None":
        """Whether the home switch is closed."""
        raise NotImplementedError

    def drops(self) -> "int | None":
        """How often the drop sensor has seen a product fall since boot."""
        raise NotImplementedError

    def is_empty(self, slot: str) -> "bool | None":
        """What the slot's own sensor says."""
        raise NotImplementedError

    def take_coins(self) -> int:
        """Minor units inserted since the last call, whole coins only."""
        raise NotImplementedError

    def feed_watchdog(self) -> None:
        """Without it for 30 s the board restarts."""
        raise NotImplementedError

    def health(self) -> "dict[str, int | None]":
        """`free_bytes` of memory, `rssi_dbm` of the radio."""
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
