"""Use cases of upkeep: what the cloud asks for, and what devices say of it, of their settings and of themselves."""

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from edge.climate.service import ClimateService
from edge.clock import Clock
from edge.database import Database, Transaction
from edge.devices.service import DeviceService
from edge.errors import DatabaseError
from edge.outbox import Outbox
from edge.parcels.service import ParcelService
from edge.upkeep import rules, store
from shared.devices import Evidence
from shared.signed import Purpose
from shared.topics import Topic
from shared.upkeep import (
    UNKNOWN_ZONE,
    Action,
    DeviceInstruction,
    DeviceInstructionEnded,
    Level,
    LogLine,
    LogLines,
    RequestAnswer,
    RequestState,
    SettingsAssigned,
    SettingsReport,
    SettingsReported,
)

UPKEEP_KEY = "upkeep"
"""Touched when there is something new to ask of a device (watch.py)."""

log = structlog.get_logger()


class UpkeepService:
    """What is asked of devices, until it is known what became of it."""

    def __init__(
        self,
        database: Database,
        devices: DeviceService,
        climate: ClimateService,
        parcels: ParcelService,
        outbox: Outbox,
        clock: Clock,
    ) -> None:
        self._database = database
        self._devices = devices
        self._climate = climate
        self._parcels = parcels
        self._outbox = outbox
        self._clock = clock

    def apply_instruction(self, tx: Transaction, wish: DeviceInstruction) -> None:
        """Take what a person asks of a device. One that is known, or has ended, changes nothing."""
        if store.add_instruction(tx, wish):
            if wish.action is Action.RELEASE_ZONE:
                self._climate.release(tx, wish.request_id, wish.asked_by)
            log.info("instruction_taken", **_ids(wish), action=wish.action, asked_by=wish.asked_by)
            tx.touch(UPKEEP_KEY)

    def apply_settings(self, tx: Transaction, assigned: SettingsAssigned) -> None:
        """Take the settings that a device shall run on, unless newer ones are known."""
        digest = hashlib.sha256(assigned.signed.to_line()).hexdigest()
        told = store.reported_settings(tx, assigned.device_id)
        tries_before = 0 if told is None else rules.tries_since(told, digest, 0)
        if store.assign_settings(tx, assigned, digest, tries_before):
            # The file itself follows when it is offered; it is forgotten again with its permit.
            self._parcels.permit(tx, assigned.device_id, Purpose.SETTINGS, [digest])
            device_id = str(assigned.device_id)
            log.info("settings_assigned", device_id=device_id, version=assigned.version, digest=digest)
            tx.touch(UPKEEP_KEY)

    def end(
        self,
        tx: Transaction,
        wish: DeviceInstruction,
        state: RequestState,
        reason: str | None,
        evidence: Evidence | None = None,
    ) -> None:
        """It is known what became of the instruction: told once, and its PIN forgotten."""
        store.end_instruction(tx, wish)
        ended = DeviceInstructionEnded(
            request_id=wish.request_id,
            device_id=wish.device_id,
            machine_id=wish.machine_id,
            action=wish.action,
            state=state,
            reason=reason,
            evidence=evidence,
        )
        self._outbox.append(tx, ended)
        log.info("instruction_ended", **_ids(wish), action=wish.action, state=state, reason=reason)

    async def record_answer(self, topic: Topic, answer: RequestAnswer) -> None:
        """A device says what became of a request; the first such word counts."""

        def work(tx: Transaction) -> None:
            wish = store.waiting_instruction(tx, answer.request_id)
            if wish is None or wish.device_id != topic.device_id:
                return
            if wish.zone is not None and answer.reason == UNKNOWN_ZONE:
                self._climate.has_no_zone(tx, topic, wish.zone, wish.asked_by)
            evidence = answer.evidence if wish.action is Action.JOG else None
            self.end(tx, wish, answer.state, answer.reason, evidence)

        await self._database.unit("upkeep.answer", work)

    async def record_settings(self, topic: Topic, report: SettingsReport) -> None:
        """A device says which settings it runs on, and what became of those it was offered."""
        told = SettingsReported(
            device_id=topic.device_id,
            machine_id=topic.machine_id,
            digest=report.digest,
            state=report.state,
            offered=report.offered,
            reason=report.reason,
            tries=report.tries,
        )

        def work(tx: Transaction) -> None:
            if store.report_settings(tx, report.boot_id, told):
                self._outbox.append(tx, told)
                log.info("settings_reported", device_id=str(topic.device_id), state=report.state, digest=report.digest)
            wanted = store.open_settings(tx, topic.device_id)
            if wanted is not None and rules.tells_the_end(report, wanted["digest"], wanted["tries_before"]):
                store.set_settings_ended(tx, topic.device_id)
                self._parcels.permit(tx, topic.device_id, Purpose.SETTINGS, [])
            tx.touch(UPKEEP_KEY)

        await self._database.unit("upkeep.settings", work)

    async def record_log(self, topic: Topic, told: LogLines) -> None:
        """Log what a device logs, and keep its newest lines for `python -m edge device-log`."""
        ids = {"device_id": str(topic.device_id), "machine_id": str(topic.machine_id), "boot_id": str(told.boot_id)}
        for line in told.lines:
            tell = log.error if line.level is Level.ERROR else log.warning
            where = {"number": line.number, "uptime_ms": line.uptime_ms}
            tell("device_log", **ids, **where, device_event=line.event, fields=line.fields)
        at = self._clock.now().isoformat(timespec="seconds")
        await self._database.unit(
            "upkeep.log", lambda tx: store.add_log(tx, topic.device_id, told.boot_id, at, told.lines)
        )

    def machine_of(self, tx: Transaction, device_id: UUID) -> UUID | None:
        """The machine in which the device stands; None for a device that is not known here."""
        return self._devices.machine_of(tx, device_id)


def device_log(state_dir: Path, device_id: UUID | None) -> list[dict[str, Any]]:
    """What one device, or each, has logged of late, oldest first, from beside a gateway that may be running.

    Raises DatabaseError.
    """
    try:
        with closing(sqlite3.connect(f"{(state_dir / 'ledger.db').absolute().as_uri()}?mode=ro", uri=True)) as ledger:
            rows = store.log_lines(ledger, device_id)
    except sqlite3.Error as error:
        raise DatabaseError(f"the ledger in {state_dir} cannot be read: {error}") from error
    return [
        {"at": at, "device_id": device, "boot_id": boot, **json.loads(line)} | {"fields": _fields(line)}
        for at, device, boot, line in rows
    ]


def _fields(line: str) -> Any:
    """The fields as JSON again, unless they were cut off."""
    text = LogLine.model_validate_json(line).fields
    try:
        return json.loads(text)
    except ValueError:
        return text


def _ids(wish: DeviceInstruction) -> dict[str, str]:
    return {"request_id": str(wish.request_id), "device_id": str(wish.device_id), "machine_id": str(wish.machine_id)}
