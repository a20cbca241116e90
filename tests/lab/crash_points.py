"""Every named fail-point the crash lab dies at, and the scene that gets there."""

from dataclasses import dataclass, replace
from typing import Literal

from tests.lab import crash_scenes as scenes
from tests.lab.crash_scenes import Scene

Component = Literal["gateway", "device", "cloud"]


@dataclass(frozen=True)
class Point:
    """One place to die at. `rail` chooses the machine the scene plays at."""

    component: Component
    name: str
    scene: Scene
    rail: str = "free"
    first: str = ""
    """A fail-point of the same component to die at before: the chosen one lies on the way back up."""
    swallows: bool = False
    """A coin in the slot at that moment is lost with the power: nothing is written yet."""
    opening: bool = False
    """Lies in a gateway's first contact with its cloud, before there is anything to sell."""
    torn: bool = False
    """The device finds the last record of its journal cut short."""
    first_vend: bool = False
    """The machine's device has never vended: nothing but this vend's own command tells that it ever had a journal."""

    @property
    def once(self) -> bool:
        """Whether the program passes it only while it starts; others may be died at later than at the first pass."""
        return bool(self.first) or self.opening or self.torn or self.first_vend or self.name.startswith("app.")

    @property
    def is_before_leaving(self) -> bool:
        """Whether something must not leave the program any more."""
        return self.name.endswith((".before", ".before_publish", ".before_send", ".before_keep"))

    def at(self, *moments: str) -> list["Point"]:
        """This point at each of the moments around what it names."""
        return [replace(self, name=f"{self.name}.{moment}") for moment in moments]

    def around_commit(self) -> list["Point"]:
        """Right before and after the unit's commit."""
        return self.at("before_commit", "after_commit")

    def around(self) -> list["Point"]:
        """Right before and after it."""
        return self.at("before", "after")


def _gateway(name: str, scene: Scene, rail: str = "free", *, opening: bool = False, first_vend: bool = False) -> Point:
    return Point("gateway", name, scene, rail, opening=opening, first_vend=first_vend)


def _device(name: str, scene: Scene, rail: str = "free", *, first: str = "", torn: bool = False) -> Point:
    return Point("device", name, scene, rail, first=first, torn=torn)


def _cloud(name: str, scene: Scene, *, opening: bool = False) -> Point:
    return Point("cloud", name, scene, opening=opening)


SELLING = [
    *_gateway("orders.end_unanswered", scenes.lost_journal, first_vend=True).at("before_commit"),
    *_gateway("orders.end_unanswered", scenes.lost_journal, "cash", first_vend=True).at("after_commit"),
    *_gateway("orders.place", scenes.buy).around_commit(),
    *_gateway("orders.record_outcome", scenes.buy).around_commit(),
    *_gateway("orders.record_outcome", scenes.buy, "cash").around_commit(),
    *_gateway("orders.cancel", scenes.cancel_unpaid, "cash").around_commit(),
    *_gateway("orders.begin_cancel", scenes.silence).around_commit(),
    *_gateway("orders.end_unanswered", scenes.lost_journal).around_commit(),
    *_gateway("orders.sweep", scenes.pay_later, "cash").around_commit(),
    *_gateway("payments.record_credit", scenes.insert_coin, "cash").around_commit(),
    *_gateway("payments.acknowledge_credit", scenes.insert_coin, "cash").around(),
    *_gateway("dispensing.dispense", scenes.buy).at("before_publish", "after_publish"),
    *_gateway("dispensing.query", scenes.jam).at("before_publish", "after_publish"),
    *_gateway("dispensing.cancel", scenes.cancel_running).at("before_publish", "after_publish"),
    *_gateway("dispensing.record_drop", scenes.buy).around_commit(),
    *_gateway("dispensing.acknowledge", scenes.buy).around(),
]
LINKS = [
    *_gateway("sync.claim", scenes.buy, opening=True).at("before_keep", "after_keep"),
    *_gateway("app.begin_epoch", scenes.buy).around_commit(),
    *_gateway("devices.claim", scenes.new_board).around_commit(),
    *_gateway("dispensing.hello", scenes.power_cut).around_commit(),
    *_gateway("devices.presence", scenes.power_cut).around_commit(),
    *_gateway("devices.heartbeat", scenes.waiting).around_commit(),
    *_gateway("sync.push", scenes.cloud_away).at("before_send", "after_send", "before_commit", "after_commit"),
    *_gateway("sync.pull", scenes.delivery).at("after_receive", "before_commit", "after_commit"),
    *_gateway("sync.telemetry", scenes.waiting).around_commit(),
]
DEVICE = [
    *_device("journal.A", scenes.buy).around(),
    *_device("journal.S", scenes.buy).around(),
    *_device("journal.L", scenes.buy).around(),
    *_device("journal.P", scenes.buy).around(),
    *_device("journal.D", scenes.buy).around(),
    *_device("journal.K", scenes.buy).around(),
    *_device("journal.X", scenes.buy, first="journal.A.after").around(),
    replace(_device("journal.C.before", scenes.insert_coin, "cash"), swallows=True),
    _device("journal.C.after", scenes.insert_coin, "cash"),
    *_device("journal.KC", scenes.insert_coin, "cash").around(),
    *_device("journal.compact", scenes.buy, torn=True).around(),
    *_device("motor.on", scenes.buy).around(),
    *_device("motor.off", scenes.buy, "cash").around(),
    *_device("state.publish", scenes.buy).around(),
    *_device("outcome.publish", scenes.buy, "cash").around(),
    *_device("credit.publish", scenes.insert_coin, "cash").around(),
]
CLOUD = [
    *_cloud("claim", scenes.buy, opening=True).at("before_commit", "after_commit", "before_reply"),
    *_cloud("sync.facts", scenes.buy).at("before_commit", "after_commit", "before_reply"),
    *_cloud("sync.changes", scenes.waiting).around_commit(),
    *_cloud("sync.telemetry", scenes.waiting).at("before_commit", "after_commit", "before_reply"),
]
LANES = {"selling": SELLING, "links": LINKS, "device": DEVICE, "cloud": CLOUD}
"""Each lane has a site of its own and is walked beside the others."""
