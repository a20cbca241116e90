"""A release on its way to this board: believed, fetched while vends go on, and given a try at the next boot."""

import asyncio
import binascii

from . import VERSION, progress, release, rules, slots, standing, topics
from .borrowed import borrow, give_back
from .log import log, warn
from .release import Refused

MAX_TEXT_BYTES = 16_384
"""A release of 80 files has 10 kB; a text must find room on the heap three times."""
PIECE_BYTES = 1536
MAX_ASKS = 3
LEAVE_ASKS = 20
LEAVE_ASK_MS = 30_000
LEAVE_MS = 15_000
"""So long after the gateway has given leave to boot it must have happened (shared/releases.py)."""
PURPOSE = b"larder-release\n"
REST_S = 0.1


class Unanswered(Exception):
    """What has to come first; the next offer goes on from here."""


async def perform(parts, fields: dict) -> None:
    """The errand: to take the release that is offered, as far as that goes now."""
    root = parts.flash.folder + "/"
    marker = slots.read(root) or slots.FIRST
    slot = standing.running()
    if not _is_known(root, slot, marker, fields["digest"]):
        try:
            await Taking(parts, root, slot, fields["digest"], fields["size"]).run(marker)
        except Unanswered as error:
            log("release_waits", digest=fields["digest"], reason=str(error))
            return
        except Exception as error:  # noqa: BLE001 - a release must not seem to be on its way when nobody fetches it
            reason = str(error) if isinstance(error, (Refused, OSError)) else repr(error)
            warn("release_refused", digest=fields["digest"], reason=reason)
            slots.write(slots.given_up(slots.read(root) or slots.FIRST, reason), root)
    parts.reports.tell(topics.OTA, standing.report(parts))


def _is_known(root: str, slot: "str | None", marker: dict, digest: str) -> bool:
    """Whether it runs already, or something is on trial: then the answer is how things stand."""
    if marker["trial"] is not None or marker["image_trial"] is not None:
        return True
    if slot is not None and standing.digest_of(root + slot + "/" + standing.RELEASE) == digest:
        return True
    return marker["offered"] == digest and marker["state"] == "valid"


class Taking:
    """One release. `slot` is the folder that runs; whoever fetches the files is given this, to ask and to rest by."""

    def __init__(self, parts, root: str, slot: "str | None", digest: str, size: int) -> None:
        self._parts = parts
        self.root = root
        self.idle = "" if slot is None else progress.other_than(slot)
        self._digest = digest
        self._size = size
        self._leave: "tuple | None" = None

    def free_bytes(self) -> int:
        """Of the flash."""
        return self._parts.flash.free_bytes()

    async def run(self, marker: dict) -> None:
        """To the restart. Raises Refused, Unanswered, OSError."""
        now = self._parts.clock.now()
        if now is None:
            raise Unanswered("nobody has told the time: it may have expired")
        if marker["offered"] != self._digest or marker["state"] != "fetching":
            marker = slots.changed(marker, state="fetching", offered=self._digest, reason=None)
            slots.write(marker, self.root)
            self._parts.reports.tell(topics.OTA, standing.report(self._parts))
        if not self.idle:
            raise Refused("runs from no folder of its own")
        path = await self._path()
        manifest = release.parse(await self._believed(path))
        release.check(manifest, VERSION, marker, now)
        log("release_begun", digest=self._digest, version=manifest.version)
        # What one kind of release needs is in RAM for that kind only.
        name = "image" if manifest.kind == release.IMAGE else "folder"
        try:
            await borrow(name).take(self, path, manifest, marker)
        finally:
            give_back(name, "partitions")

    async def rest(self) -> None:
        """Vends come first, and so does whoever asks for something else. Raises Unanswered."""
        await asyncio.sleep(0)
        while rules.running(self._parts.journal.state) is not None:
            await asyncio.sleep(REST_S)
        if self._parts.errands.others_wait():
            raise Unanswered("something else is asked for")

    async def piece(self, sha256: str, place: int, size: int) -> bytes:
        """So many bytes of a file, fewer at its end. Raises Refused, Unanswered."""
        for _ in range(MAX_ASKS):
            await self.rest()
            wanted = min(size, PIECE_BYTES)
            data = await self._parts.errands.fetch(self._parts, sha256, place, wanted)
            if data == b"":
                raise Refused("the gateway lacks a file")
            if data is not None and len(data) <= wanted:
                return data
        raise Unanswered("the gateway does not answer")

    def tell(self) -> None:
        """How far it is."""
        self._parts.reports.tell(topics.OTA, standing.report(self._parts))

    async def boot(self, marker: dict, before=lambda: None) -> None:
        """Write the marker and boot by it, with the gateway's leave and when nobody loses anything by that.

        `before` that. Raises Unanswered.
        """
        connects, until = await self._let_go()
        self._parts.errands.held += 1
        try:
            restart = borrow("restart")
            rests = await restart.come_to_rest(self._parts) is None
            state = self._parts.journal.state
            if not rests or state.vends or state.credits:
                raise Unanswered("something is yet to be told")
            if self._parts.clock.ms() > until or self._parts.reports.connects != connects:
                raise Unanswered("it took too long to come to rest")
            slots.write(slots.changed(marker, state="trial", reason=None, tries=0), self.root)
            before()
            await restart.go(self._parts)
        finally:
            self._parts.errands.held -= 1

    async def _let_go(self) -> tuple:
        """Leave to boot: over which connection, and until when (ms). Raises Unanswered.

        What the journal knows is not enough: the gateway may have an order that has yet to come here.
        """
        residents = self._parts.errands.residents
        residents["leave"] = self._hear_leave
        try:
            for _ in range(LEAVE_ASKS):
                self._parts.reports.tell(topics.OTA, standing.report(self._parts, True))
                until = self._parts.clock.ms() + LEAVE_ASK_MS
                while self._leave is None and self._parts.clock.ms() < until:
                    await asyncio.sleep(REST_S)
                    await self.rest()
                if self._leave is not None:
                    return self._leave
        finally:
            del residents["leave"]
        raise Unanswered("the gateway gives no leave to boot")

    def _hear_leave(self, fields: dict) -> None:
        if fields["digest"] == self._digest:
            self._leave = (self._parts.reports.connects, self._parts.clock.ms() + LEAVE_MS)

    async def _path(self) -> str:
        """Where the signed text lies: of an earlier try, or as it has been fetched."""
        fresh = self.root + progress.OFFERED
        for path in (fresh, self.root + self.idle + "/" + standing.RELEASE, self.root + progress.IMAGE_RELEASE):
            if standing.digest_of(path) == self._digest:
                return path
        if self._size > MAX_TEXT_BYTES:
            raise Refused("its text is too large")
        pieces: list = []
        place = 0
        while place < self._size:
            pieces.append(await self.piece(self._digest, place, self._size - place))
            place += len(pieces[-1])
        slots.replace(fresh, b"".join(pieces))
        if standing.digest_of(fresh) != self._digest:
            raise Refused("its text is not what was offered")
        return fresh

    async def _believed(self, path: str) -> str:
        """What a key that trust.json names for releases has signed. Raises Refused, Unanswered."""
        key, message, signature = self._document(path)
        verdict = None
        try:
            for found in borrow("ed25519").verifying(key, message, signature):
                verdict = found
                await self.rest()
        finally:
            give_back("ed25519")
        if not verdict:
            raise Refused("the signature is wrong")
        return str(message[len(PURPOSE) :], "utf-8")

    def _document(self, path: str) -> tuple:
        """(Public key, signed bytes, signature). Here, so that nothing else of it is in RAM while it is verified."""
        signed = borrow("signed")
        give_back("signed")
        try:
            keys = signed.trusted_keys(self._parts.flash, signed.RELEASE)
            if keys is None:
                raise Refused("there is no " + signed.TRUST_FILE)
            with open(path, "rb") as file:
                document = signed.parse(file.read())
        except signed.NotTrusted as error:
            raise Refused(str(error)) from None
        if document.key not in keys:
            raise Refused("signed by a key it does not know")
        return (keys[document.key], PURPOSE + document.text.encode(), binascii.unhexlify(document.signature))
