"""A board without settings: it opens a network of its own and shows a page that takes them (firmware/README.md).

Whoever knows the label's password may offer settings; only an operator in trust.json can make them count. They are
saved after the board has joined their Wi-Fi and their gateway has let it in, while its own network stays open.
"""

import asyncio
import json
import socket

from . import SettingsError, settings_file, setup_http, setup_names, setup_page
from .clock import Clock
from .flash import Flash
from .hardware import Hardware
from .label import Label, network_name
from .log import log
from .reaching import Unreached, join, reach
from .settings import Settings
from .setup_http import Answer, Request
from .signals import FAULT, SETUP

WAITING = "waiting"
CHECKING = "checking"
JOINING = "joining"
REACHING = "reaching"
SAVED = "saved"
FAILED = "failed"
BUSY = (CHECKING, JOINING, REACHING, SAVED)

PORT = 80
LOOK_S = 0.2
BREATH_S = 0.5
"""The answer to who offers settings is out before their signature is worked out, which blocks for seconds."""
FAREWELL_S = 4
"""The page asks each second: it sees that the settings are saved before the board restarts."""
IDLE_MS = 600_000
"""With nobody at the page for so long the board boots again: what kept it from its settings may have passed."""


class SetupHardware(Hardware):
    """What a board needs to be set up: a network of its own beside the one it joins. Its other parts stay off."""

    def mac(self) -> bytes:
        """The radio's own address."""
        raise NotImplementedError

    def open_network(self, name: str, password: str) -> str:
        """Open the board's own network (WPA2); its address there. Raises OSError."""
        raise NotImplementedError

    def open_names(self) -> socket.socket:
        """A datagram socket that does not block, where that network's phones ask for names. Raises OSError."""
        raise NotImplementedError

    def fit(self, settings: Settings) -> None:
        """What the coming `join_network` and the board's parts go by. Raises SettingsError."""
        raise NotImplementedError


class Provisioning:
    """`refused`: why the settings that are there cannot be used."""

    def __init__(self, board: SetupHardware, flash: Flash, label: Label, refused: str, clock: Clock) -> None:
        self._board = board
        self._flash = flash
        self._label = label
        self._clock = clock
        self._name = network_name(board.mac())
        self._state = WAITING
        self._reason: "str | None" = refused
        self._offered: "bytes | None" = None
        self._visited_ms = clock.ms()
        self._host = ""

    async def run(self, port: int = PORT) -> None:
        """Until settings are saved, or nobody came: then the board is to boot again. Raises OSError."""
        address = self._board.open_network(self._name, self._label.password)
        self._host = address if port == PORT else address + ":" + str(port)
        # The serial line is as near to the board as its label is.
        print("Wi-Fi " + self._name + ", password " + self._label.password)
        server = await asyncio.start_server(setup_http.Counter(self.respond).serve, address, port)
        wire = self._open_names()
        tasks = [] if wire is None else [asyncio.create_task(setup_names.run(wire, address))]
        log("setup_open", network=self._name, address=address, reason=self._reason)
        self._board.signal(FAULT if self._flash.has(settings_file.FILE) else SETUP)
        try:
            await self._wait(tasks)
        finally:
            for task in tasks:
                task.cancel()
            if wire is not None:
                wire.close()
            server.close()
            await server.wait_closed()

    def respond(self, request: Request) -> Answer:
        """The page, what it asks for and what it sends; any other name or place leads to the page."""
        if request.method == "POST":
            return self._take(request)
        if request.method not in ("GET", "HEAD"):
            return Answer(405, (), b"")
        if request.host != self._host or request.path not in ("/", "/state"):
            return Answer(302, ("Location: http://" + self._host + "/",), b"")
        self._visited_ms = self._clock.ms()
        if request.path == "/state":
            return _told(200, {"state": self._state, "reason": self._reason, "network": self._name})
        return Answer(200, setup_page.HEADERS, b"" if request.method == "HEAD" else setup_page.PAGE)

    def _take(self, request: Request) -> Answer:
        # The name is asked for, so that no page from elsewhere that a phone has open can send settings.
        if request.host != self._host or request.path != "/settings":
            return Answer(403, (), b"")
        if self._state in BUSY:
            return Answer(409, (), b"")
        self._offered = request.body
        self._enter(CHECKING)
        return _told(202, {})

    async def _wait(self, tasks: list) -> None:
        """Feed the watchdog while `tasks` run; the death of one of them is the end of all."""
        while self._state != SAVED:
            self._board.feed_watchdog()
            await asyncio.sleep(LOOK_S)
            if self._offered is not None:
                tasks.append(asyncio.create_task(self._try(self._offered)))
                self._offered = None
            for task in [task for task in tasks if task.done()]:
                tasks.remove(task)
                await task
            if self._state not in BUSY and self._clock.ms() - self._visited_ms > IDLE_MS:
                log("setup_unvisited")
                return
        await asyncio.sleep(FAREWELL_S)

    async def _try(self, data: bytes) -> None:
        await asyncio.sleep(BREATH_S)
        try:
            settings = settings_file.load(self._flash, data)
            self._board.fit(settings)
            self._enter(JOINING)
            await join(self._board, settings)
            self._enter(REACHING)
            await reach(self._board, self._flash, self._clock, settings)
            save(self._flash, data)
        except (SettingsError, OSError, Unreached) as error:
            self._enter(FAILED, str(error))
        else:
            self._enter(SAVED)

    def _open_names(self) -> "socket.socket | None":
        """None if that cannot be done: the page is there all the same, by its address."""
        try:
            return self._board.open_names()
        except OSError as error:
            log("names_unanswered", error=str(error))
            return None

    def _enter(self, state: str, reason: "str | None" = None) -> None:
        self._state, self._reason = state, reason
        log("setup_" + state, reason=reason)
        if state in (FAILED, SAVED):
            self._board.signal(FAULT if state == FAILED else SETUP)


def save(flash: Flash, data: bytes) -> None:
    """Put settings on flash that were found right. Raises OSError."""
    flash.replace(settings_file.FILE, data)
    if flash.read(settings_file.FILE) != data:
        raise OSError("settings read back differently")


def _told(status: int, what: dict) -> Answer:
    return Answer(status, ("Content-Type: application/json",), json.dumps(what).encode())
