"""Taking LowDB files over: each in one unit of work, so that whatever breaks off in between leaves it whole or not at
all. Whoever begins again goes on where it was: what is here already is compared, and written no second time.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from uuid import UUID

from cloud import objects
from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind
from cloud.callers import system
from cloud.clock import Clock
from cloud.customers.service import CustomerService, settings_of
from cloud.database import Database, Transaction
from cloud.encryption.keyring import Keyring
from cloud.errors import NotFound, Refused
from cloud.lowdb import models
from cloud.lowdb.folder import Changing, Folder, NotTaken, Source
from cloud.lowdb.mapping import Mapping
from cloud.lowdb.models import LegacyFile
from cloud.lowdb.originals import Archived, Originals
from cloud.lowdb.reading import Reading, Tell, batches, by_machine, in_order, kinds
from cloud.lowdb.report import FileReport, Report
from cloud.lowdb.taking import Counted, FileTaking, Run
from cloud.lowdb.values import derived_id

ACTOR = system("import-lowdb")
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class _File:
    """One to be taken; `told` has what it was when it was looked at."""

    folder: Folder
    source: Source
    run: Run
    file_id: UUID
    told: FileReport


class Import:
    """Takes over what lies in a folder."""

    def __init__(
        self, database: Database, originals: Originals, keyring: Keyring, clock: Clock, mapping: Mapping, tell: Tell
    ) -> None:
        self._database = database
        self._originals = originals
        self._keyring = keyring
        self._clock = clock
        self._mapping = mapping
        self._tell = tell
        self._counted = Counted()

    async def records(self, root: Path, tenant_id: UUID, report: Report) -> None:
        """All files with records. Raises NotFound for a tenant that is not there, Unavailable."""
        folder = Folder(root, self._mapping)
        listed = folder.listed()
        report.left += [{"path": path, "why": why} for path, why in listed.left]
        files = []
        await self._run(tenant_id)
        for source in in_order(listed.sources, folder, report):
            run = await self._run(self._tenant(source, tenant_id))
            told = FileReport(source.path, is_leftover=source.is_leftover)
            report.files.append(told)
            try:
                told.sha256, told.bytes = folder.digest(source.path)
                file_id = derived_id(_EPOCH, str(run.tenant_id), source.path, told.sha256)
                files.append(_File(folder, source, run, file_id, told))
            except NotTaken as error:
                told.refused = str(error)
        if report.dry_run:
            await self._try_out(files)
        else:
            for file in files:
                await self._one(file)
        report.days, report.named = self._counted.days, self._counted.named

    def _tenant(self, source: Source, default: UUID) -> UUID:
        machine = source.machine or source.collections[0].machine
        part = self._mapping.machines.get(machine or "")
        return default if part is None or part.tenant is None else part.tenant

    async def _run(self, tenant_id: UUID) -> Run:
        async def work(transaction: Transaction) -> str:
            if await transaction.fetch_one("SELECT 1 FROM tenants") is None:  # the wall leaves one at most
                raise NotFound
            return (await settings_of(transaction)).country

        country = await self._database.unit("lowdb.tenant", work, tenant_id=tenant_id)
        customers = CustomerService(self._keyring, self._clock)
        return Run(tenant_id, self._mapping, self._keyring, customers, self._clock.now(), country)

    async def _one(self, file: "_File") -> None:
        try:
            archived = Archived(None, None)
            if not await self._is_known(file):
                archived = await self._originals.archive(
                    file.run.tenant_id, file.file_id, file.folder, file.source.path, file.told.bytes
                )

            async def work(transaction: Transaction) -> Counted:
                return await self._take(transaction, file, archived)

            self._counted.add(await self._database.unit("lowdb.file", work, tenant_id=file.run.tenant_id))
        except (NotTaken, Refused) as error:
            file.told.refused = str(error)

    async def _try_out(self, files: Sequence["_File"]) -> None:
        """All of it, and then all of it undone: one tenant's files see each other."""
        for tenant_id, part in groupby(sorted(files, key=_tenant_of), key=_tenant_of):
            of_tenant = list(part)

            async def work(transaction: Transaction, of_tenant: Sequence[_File] = of_tenant) -> None:
                with suppress(_OnlyTried):
                    async with transaction.savepoint():
                        for file in of_tenant:
                            await self._try_one(transaction, file)
                        raise _OnlyTried

            await self._database.unit("lowdb.dry_run", work, tenant_id=tenant_id)

    async def _try_one(self, transaction: Transaction, file: "_File") -> None:
        try:
            async with transaction.savepoint():
                self._counted.add(await self._take(transaction, file, Archived(None, None)))
        except NotTaken as error:
            file.told.refused = str(error)

    async def _is_known(self, file: "_File") -> bool:
        async def work(transaction: Transaction) -> bool:
            return await models.file_known(transaction, file.source.path, file.told.sha256) is not None

        return await self._database.unit("lowdb.known", work, tenant_id=file.run.tenant_id)

    async def _take(self, transaction: Transaction, file: "_File", archived: Archived) -> Counted:
        """Inside a unit of the tenant. Raises Changing if the file is not what it was."""
        told, run, path = file.told, file.run, file.source.path
        told.begin()
        is_new = await models.file_known(transaction, path, told.sha256) is None
        if is_new:
            row = LegacyFile(
                file.file_id, path, "records", told.sha256, told.bytes, None, archived.object, archived.archive_key
            )
            await models.add_file(transaction, run.tenant_id, row, run.now)
            if archived.object is not None:
                await objects.use(transaction, [archived.object])
        taking = FileTaking(transaction, run, file.file_id, told, self._counted.seen)
        for kind in kinds(file.source):
            await self._read(file, taking, kind)
        counted = await taking.end()
        if is_new or told.new or told.advanced:
            about = {"path": path, "sha256": told.sha256, "records": told.records, "new": told.new}
            subject = Subject(SubjectKind.TENANT, run.tenant_id)
            await audit.record(transaction, ACTOR, run.tenant_id, AuditAction.LEGACY_IMPORTED, subject, after=about)
        return counted

    async def _read(self, file: "_File", taking: FileTaking, kind: str) -> None:
        """All records of this kind. Raises Changing."""
        with file.folder.opened(file.source.path) as opened:
            reading = Reading(opened, file.source.path, file.told.bytes, self._tell)
            for collection, batch in batches(reading, file.source, file.told, kind):
                for machine, part in by_machine(batch, collection, file.source, file.told):
                    if collection.kind == "orders":
                        await taking.orders(machine, collection, part)
                    else:
                        await taking.items(machine, collection, part)
            if reading.digest() != file.told.sha256:
                raise Changing("is being written to: stop what writes there first")


def _tenant_of(file: "_File") -> UUID:
    return file.run.tenant_id


class _OnlyTried(Exception):
    """All of it is undone."""
