"""The pictures that lie beside an inventory: each is archived, and shown if an item names it."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from cloud import objects
from cloud.callers import Operator
from cloud.clock import Clock
from cloud.database import Database, Transaction
from cloud.errors import LarderError, NotFound, Unavailable
from cloud.lowdb import models
from cloud.lowdb.folder import PICTURE_BYTES, PIECE_BYTES, Folder, NotTaken, PictureFile
from cloud.lowdb.machines import place_of
from cloud.lowdb.mapping import Mapping
from cloud.lowdb.models import LegacyFile
from cloud.lowdb.originals import Originals
from cloud.lowdb.report import PictureReport, Report
from cloud.lowdb.service import ACTOR
from cloud.lowdb.values import derived_id
from cloud.pictures.rules import HEAD_BYTES, media_type_of
from cloud.pictures.service import Pictures, Sent

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
ORPHAN, SHOWN = "orphan", "shown"


class PicturesTaking:
    """Takes over the pictures of a folder, after its records."""

    def __init__(
        self, database: Database, originals: Originals, pictures: Pictures, clock: Clock, mapping: Mapping
    ) -> None:
        self._database = database
        self._originals = originals
        self._pictures = pictures
        self._clock = clock
        self._mapping = mapping

    async def take(self, root: Path, tenant_id: UUID, report: Report) -> None:
        """All of them; what items name and is not there is told. Raises Unavailable."""
        folder = Folder(root, self._mapping)
        found = folder.listed().pictures
        named = {(reference.machine, reference.file): reference.product_id for reference in report.named}
        for file in found:
            told = PictureReport(file.path)
            report.pictures.append(told)
            try:
                told.sha256, told.bytes = folder.digest(file.path)
                part = self._mapping.machines.get(file.machine)
                owner = tenant_id if part is None or part.tenant is None else part.tenant
                is_named = (file.machine, file.name) in named
                told.outcome = await self._one(
                    folder,
                    file,
                    told,
                    owner,
                    named.get((file.machine, file.name)),
                    named=is_named,
                    dry_run=report.dry_run,
                )
            except NotTaken as error:
                told.outcome = f"not taken: {error}"
        there = {(file.machine, file.name) for file in found}
        report.dangling += [
            {"machine": one.machine, "item": one.item, "picture": one.file}
            for one in report.named
            if (one.machine, one.file) not in there
        ]

    async def _one(
        self,
        folder: Folder,
        file: PictureFile,
        told: PictureReport,
        tenant_id: UUID,
        product_id: UUID | None,
        *,
        named: bool,
        dry_run: bool,
    ) -> str:
        if told.bytes > PICTURE_BYTES:
            return f"not taken: more than {PICTURE_BYTES} bytes"
        with folder.opened(file.path) as opened:
            media_type = media_type_of(opened.read(HEAD_BYTES))
        if not dry_run:
            await self._archive(folder, file, told, tenant_id)
        if media_type is None:
            return "unreadable: is no picture, whatever it is called"
        if not named:
            return ORPHAN
        if dry_run or product_id is None:
            return SHOWN
        return await self._show(folder, file, told, tenant_id, product_id, media_type)

    async def _archive(self, folder: Folder, file: PictureFile, told: PictureReport, tenant_id: UUID) -> None:
        file_id = derived_id(_EPOCH, str(tenant_id), file.path, told.sha256)

        async def is_known(transaction: Transaction) -> bool:
            return await models.file_known(transaction, file.path, told.sha256) is not None

        if await self._database.unit("lowdb.known", is_known, tenant_id=tenant_id):
            return
        archived = await self._originals.archive(tenant_id, file_id, folder, file.path, told.bytes)

        async def work(transaction: Transaction) -> None:
            place = await place_of(transaction, tenant_id, self._mapping, file.machine)
            row = LegacyFile(
                file_id,
                file.path,
                "picture",
                told.sha256,
                told.bytes,
                place.machine_id,
                archived.object,
                archived.archive_key,
            )
            await models.add_file(transaction, tenant_id, row, self._clock.now())
            if archived.object is not None:
                await objects.use(transaction, [archived.object])

        await self._database.unit("lowdb.picture", work, tenant_id=tenant_id)

    async def _show(
        self, folder: Folder, file: PictureFile, told: PictureReport, tenant_id: UUID, product_id: UUID, media_type: str
    ) -> str:
        operator = Operator(tenant_id, ACTOR, frozenset())
        try:
            has = await self._pictures.describe(operator, product_id)
        except NotFound:
            pass
        else:
            return SHOWN if has.sha256 == told.sha256 else "kept: the product has another picture"
        sent = Sent(media_type, told.sha256, max(1, told.bytes))
        try:
            await self._pictures.put(operator, product_id, sent, _body(folder, file.path))
        except Unavailable:
            raise
        except LarderError as error:
            return f"unreadable: {error.detail}"
        return SHOWN


async def _body(folder: Folder, path: str) -> AsyncGenerator[bytes, None]:
    with folder.opened(path) as file:
        while piece := file.read(PIECE_BYTES):
            yield piece
