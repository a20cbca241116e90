"""A device without a socket: the firmware's own rules and messages, a journal in memory, and a counted motor."""

from collections import Counter
from collections.abc import Awaitable, Callable
from uuid import UUID

from edge.clock import new_id
from firmware.vending import greeting, messages, recovery, rules
from shared.topics import Channel, Topic

Send = Callable[[str, bytes], Awaitable[None]]

DROPPED = rules.Evidence(True, True, True, True, 1500)
NOTHING_FELL = rules.Evidence(False, True, True, True, 3000)


class FakeDevice:
    """Answers commands as the firmware would.

    `evidence` is what its sensors will see of a turn. With `slow` it stops after "accepted" until `turn` is called;
    while `deaf` it receives nothing. `takes_money` is what it was told last, and
    `locked` the slots of which a zone is too warm. `starts` counts motor starts by vend id. So many motors as
    `at_once` says turn together at most.
    `send` is its end of the link.
    """

    def __init__(self, machine_id: UUID, device_id: UUID, send: Send, slots: frozenset[str]) -> None:
        self.machine_id = machine_id
        self.device_id = device_id
        self.key = bytes(range(32))
        self.journal = rules.EMPTY
        self.journal_id = str(new_id())
        self.nonce = "0" * 16
        self.evidence = DROPPED
        self.slow = False
        self.deaf = False
        self.takes_money = False
        self.locked: set[str] = set()
        self.at_once = 1
        self.starts: Counter[str] = Counter()
        self.heard: list[str] = []
        self.boot_id = str(new_id())
        self.send = send
        self._slots = slots

    async def hello(self) -> None:
        """Say hello with a fresh nonce."""
        await self._say(Channel.HELLO, self.hello_line())

    def hello_line(self) -> bytes:
        """A hello with a fresh nonce."""
        self.nonce = f"{int(self.nonce, 16) + 1:016x}"
        return greeting.hello(self.boot_id, "1.0.0", self.nonce, self.journal_id, self.journal, self.at_once)

    async def report_open(self) -> None:
        """Repeat every report that is not acknowledged."""
        for vend in self.journal.vends:
            if vend.state == rules.ENDED:
                await self._say(Channel.OUTCOME, messages.report(self.boot_id, vend))

    async def reboot(self, home: bool = True) -> None:
        """Lose power and come back; `home` is where the coil's switch stands then."""
        self.boot_id = str(new_id())
        self.journal = self._write(recovery.recover(self.journal, dict.fromkeys(self._slots, home)))
        await self.hello()
        await self.report_open()

    def wipe(self) -> None:
        """Lose power and the journal, as a device does that is swapped for a new one."""
        self.boot_id, self.journal_id, self.journal = str(new_id()), str(new_id()), rules.EMPTY

    async def insert_coin(self, amount_minor: int) -> str:
        """Tell of a coin; the credit's id."""
        credit_id = str(new_id())
        self.journal = self._write((("C", credit_id, amount_minor),))
        await self.repeat_credit(credit_id, amount_minor)
        return credit_id

    async def repeat_credit(self, credit_id: str, amount_minor: int) -> None:
        """Tell of the same coin again."""
        await self._say(Channel.CREDIT, messages.credit(self.boot_id, credit_id, amount_minor, "INR"))

    async def receive(self, topic: str, payload: bytes) -> None:
        """Take a command, unless deaf."""
        command = messages.parse(payload)
        assert messages.is_authentic(self.key, str(self.machine_id), str(self.device_id), command)
        if self.deaf or isinstance(command, messages.Errand):
            return
        if command.type in (rules.ACCEPT_MONEY, rules.REFUSE_MONEY):
            self.takes_money = command.type == rules.ACCEPT_MONEY
            return
        self.heard.append(command.type)
        fits = sum(vend.state != rules.ENDED for vend in self.journal.vends) < self.at_once
        known, locked = command.slot in self._slots, command.slot in self.locked
        facts = rules.Facts(command.nonce == self.nonce, known, True, locked, fits)
        decision = rules.decide(self.journal, command, facts)
        self.journal = self._write(decision.records)
        if isinstance(decision.answer, rules.Vend):
            await self._say(Channel.OUTCOME, messages.report(self.boot_id, decision.answer))
        elif decision.answer is not None:
            await self._say(Channel.STATE, messages.answer(self.boot_id, self.nonce, decision.answer))
        if decision.start and not self.slow:
            await self.turn()

    async def start(self) -> None:
        """Start the motor of the accepted vend, and no more."""
        vend = rules.running(self.journal)
        assert vend is not None
        records = rules.begin(self.journal, vend.epoch, vend.seq, True)
        assert records
        self.journal = self._write(records)
        self.starts[vend.vend_id] += 1

    async def turn(self) -> None:
        """Run the accepted or started vend to its end and report it."""
        vend = rules.running(self.journal)
        assert vend is not None
        if vend.state == rules.ACCEPTED:
            await self.start()
        self.journal = self._write(rules.end(self.journal, vend.epoch, vend.seq, self.evidence))
        await self.report_open()

    def _write(self, records: tuple[tuple[object, ...], ...]) -> rules.Journal:
        journal = self.journal
        for record in records:
            journal = rules.apply(journal, record)
        return journal

    async def _say(self, channel: Channel, payload: bytes) -> None:
        await self.send(str(Topic(self.machine_id, self.device_id, channel)), payload)
