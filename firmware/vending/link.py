"""The device's line to its gateway: found, secured, logged in, kept up, and taken up again for ever."""

import asyncio
import binascii
import json
import os
import ssl

from . import VERSION, discovery, messages, rules, topics
from .clock import Clock
from .commands import Commands
from .credentials import Credentials
from .flash import Flash
from .hardware import Hardware
from .journal import Journal
from .log import log
from .mqtt import MqttClient, MqttError, Refused
from .nonces import Nonces
from .reports import Reports
from .settings import Settings

HEARTBEAT_MS = 10_000
OPEN_S = 6
CLAIM_MS = 10_000
SEARCH_EVERY_MS = 10_000
"""A search takes its time; between two, the addresses already known are tried."""
FIRST_RETRY_MS = 500
LONGEST_RETRY_MS = 2_000
LONGEST_RETRY_REFUSED_MS = 10_000
STEADY_MS = 5_000
"""A session that lasted so long lets the next retry start from the shortest wait again."""
SERVER_NAME = "gateway.larder"
ADDRESS_FILE = "gateway.json"

OFFLINE = "offline"
FINDING = "finding"
CONNECTING = "connecting"
CLAIMING = "claiming"
ONLINE = "online"

UNREACHED = "unreached"
"""How a session ended: no gateway there, try the next address;"""
AGAIN = "again"
"""connect again at once;"""
LATER = "later"
"""connect again after a wait."""


class Link:
    """`state` is one of the words above. It never gives up and never restarts the device."""

    def __init__(
        self,
        settings: Settings,
        credentials: Credentials,
        board: Hardware,
        flash: Flash,
        clock: Clock,
        nonces: Nonces,
        journal: Journal,
        reports: Reports,
        commands: Commands,
        context: ssl.SSLContext,
        make_client: "type[MqttClient]",
        boot_id: str,
    ) -> None:
        self._settings = settings
        self._credentials = credentials
        self._board = board
        self._flash = flash
        self._clock = clock
        self._nonces = nonces
        self._journal = journal
        self._reports = reports
        self._commands = commands
        self._context = context
        self._make_client = make_client
        self._boot_id = boot_id
        self._key = binascii.unhexlify(credentials.command_key)
        self._claims = credentials.fresh and settings.claim_code is not None
        self._address = self._cached_address()
        self._retry_ms = FIRST_RETRY_MS
        self._longest_retry_ms = LONGEST_RETRY_MS
        self._search_due_ms = 0
        self.state = OFFLINE

    async def run(self) -> None:
        """For ever."""
        while True:
            if await self._round() == AGAIN:
                continue
            wait_ms = self._retry_ms * (128 + os.urandom(1)[0] // 2) // 256
            self._retry_ms = min(2 * self._retry_ms, self._longest_retry_ms)
            await asyncio.sleep(wait_ms / 1000)

    async def _round(self) -> str:
        """Try every address there is, the surest first, until a gateway answers."""
        try:
            await self._board.join_network()
        except OSError as error:
            log("network_unavailable", error=str(error))
            return LATER
        tried: list = []
        for source in (self._last_address, self._found_addresses, self._given_address):
            for address in await source():
                if address in tried:
                    continue
                tried.append(address)
                end = await self._session(address)
                if end != UNREACHED:
                    return end
        return LATER

    async def _last_address(self) -> list:
        return [] if self._address is None else [self._address]

    async def _found_addresses(self) -> list:
        knows_another = self._address is not None or self._settings.gateway_host is not None
        if not self._settings.mdns or (knows_another and self._clock.ms() < self._search_due_ms):
            return []
        self._enter(FINDING)
        found = await discovery.find_gateways(self._board, self._clock)
        self._search_due_ms = self._clock.ms() + SEARCH_EVERY_MS
        return found

    async def _given_address(self) -> list:
        if self._settings.gateway_host is None:
            return []
        return [(self._settings.gateway_host, self._settings.gateway_port)]

    async def _session(self, address: tuple) -> str:
        """One connection from its beginning to its end; how it ended."""
        client = None
        self._enter(CONNECTING)
        try:
            client = await self._open(address)
            if self._claims:
                await self._claim(client, address)
                return AGAIN
            await client.connect(self._settings.device_id, self._credentials.token)
            self._remember(address)
            await self._serve(client)
        except Refused:
            return self._refused()
        except (OSError, EOFError, asyncio.TimeoutError, MqttError) as error:
            log("link_failed", state=self.state, host=address[0], port=address[1], error=str(error) or "timed out")
            return LATER if self.state == ONLINE else UNREACHED
        finally:
            self._reports.disconnected()
            if client is not None:
                await client.close()
            self._enter(OFFLINE)
        return LATER

    async def _open(self, address: tuple) -> MqttClient:
        opening = self._board.open_stream(address[0], address[1], self._context, SERVER_NAME)
        reader, writer = await asyncio.wait_for(opening, OPEN_S)
        return self._make_client(reader, writer, self._clock)

    def _refused(self) -> str:
        """Token and claim code take turns, so that a device whose claim was answered into the void gets in by token."""
        log("claim_refused" if self._claims else "login_refused")
        self._claims = not self._claims and self._settings.claim_code is not None
        self._longest_retry_ms = LONGEST_RETRY_REFUSED_MS
        return AGAIN if self._claims else LATER

    async def _claim(self, client: MqttClient, address: tuple) -> None:
        self._enter(CLAIMING)
        await client.connect(self._settings.device_id, "claim:" + self._settings.claim_code)
        await client.subscribe(self._topic(topics.COMMAND))
        payload = messages.claim(self._credentials.token_sha256(), self._credentials.command_key)
        await client.publish(self._topic(topics.CLAIM), payload, 1)
        deadline = self._clock.ms() + CLAIM_MS
        while self._clock.ms() < deadline:
            command = self._authentic(await client.receive(deadline - self._clock.ms()))
            if command is not None and command.type == "claimed":
                log("claimed")
                self._claims = False
                self._remember(address)
                return
        raise MqttError("claim unanswered")

    async def _serve(self, client: MqttClient) -> None:
        """The session proper; ends by MqttError."""
        await client.subscribe(self._topic(topics.COMMAND))
        self._nonces.start_over()
        hello = messages.hello(self._boot_id, VERSION, self._nonces.current, self._journal.state)
        await client.publish(self._topic(topics.HELLO), hello)
        self._reports.connected(client)
        self._enter(ONLINE)
        self._longest_retry_ms = LONGEST_RETRY_MS
        online_ms = self._clock.ms()
        beat_ms = online_ms + HEARTBEAT_MS
        while True:
            if self._clock.ms() >= beat_ms:
                beat_ms = self._clock.ms() + HEARTBEAT_MS
                await self._beat(client)
            if self._clock.ms() - online_ms > STEADY_MS:
                self._retry_ms = FIRST_RETRY_MS
            for channel, payload in self._reports.due():
                await client.publish(self._topic(channel), payload)
            wait_ms = min(self._reports.next_ms(), max(0, beat_ms - self._clock.ms()))
            command = self._authentic(await client.receive(wait_ms))
            if command is not None and command.type != "claimed":
                await self._obey(client, command)

    async def _beat(self, client: MqttClient) -> None:
        self._nonces.renew()
        self._journal.repair()
        health = self._board.health()
        health["journal_bytes"] = self._journal.size
        beat = messages.heartbeat(self._boot_id, self._nonces.current, self._clock.ms() // 1000, health)
        await client.publish(self._topic(topics.HEARTBEAT), beat)

    async def _obey(self, client: MqttClient, command: rules.Command) -> None:
        told = self._commands.handle(command)
        if told is not None:
            channel, payload = self._reports.answer(told)
            await client.publish(self._topic(channel), payload)

    def _authentic(self, received: "tuple | None") -> "rules.Command | None":
        """The command in what was received; None, and one line of log, if it is nothing to act on."""
        if received is None:
            return None
        topic, payload = received
        if topic != self._topic(topics.COMMAND):
            log("message_refused", reason="unknown topic")
            return None
        try:
            command = messages.parse(payload)
        except messages.MessageError as error:
            log("message_refused", reason=str(error))
            return None
        if not messages.is_authentic(self._key, self._settings.machine_id, self._settings.device_id, command):
            log("message_refused", reason="wrong MAC", type=command.type, epoch=command.epoch, seq=command.seq)
            return None
        return command

    def _topic(self, channel: str) -> str:
        return topics.topic(self._settings.machine_id, self._settings.device_id, channel)

    def _enter(self, state: str) -> None:
        if state != self.state:
            self.state = state
            log("link_" + state)

    def _cached_address(self) -> "tuple | None":
        try:
            host, port = json.loads(str(self._flash.read(ADDRESS_FILE), "utf-8"))
        except (OSError, ValueError, TypeError):
            return None
        return (host, port) if isinstance(host, str) and type(port) is int else None

    def _remember(self, address: tuple) -> None:
        if address == self._address:
            return
        self._address = address
        try:
            self._flash.replace(ADDRESS_FILE, json.dumps(address).encode())
        except OSError as error:
            log("address_not_cached", error=str(error))
