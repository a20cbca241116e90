"""What the device has to say: outcomes and credits until acknowledged, live news at once and once."""

from . import TYPE_CHECKING, const, messages, rules, topics
from .log import warn

if TYPE_CHECKING:
    from .clock import Clock
    from .journal import Journal
    from .mqtt import MqttClient
    from .nonces import Nonces

_FIRST_WAIT_MS = const(2_000)
_LONGEST_WAIT_MS = const(30_000)
_MAX_NEWS = const(16)
_MAX_NEWS_BEFORE_STOCK = const(8)
"""Stock can wait: behind so much news it is not taken, so that a vend's news always finds room."""


class Reports:
    """Filled by the dispenser and the sensors, emptied by the link. `boot_id` is in every message."""

    def __init__(self, journal: "Journal", clock: "Clock", nonces: "Nonces", boot_id: str, currency: str) -> None:
        self._journal = journal
        self._clock = clock
        self._nonces = nonces
        self._boot_id = boot_id
        self._currency = currency
        self._waits: dict = {}
        self._news: list = []
        self._client: "MqttClient | None" = None
        self.connects = 0
        self.connected_ms = 0

    def connected(self, client: "MqttClient") -> None:
        """A connection stands: everything unacknowledged is due at once, and `client` is woken for what is new."""
        self._waits = {}
        self._news = []
        self._client = client
        self.connects += 1
        self.connected_ms = self._clock.ms()

    def disconnected(self) -> None:
        self._client = None
        self._news = []

    def news(self) -> None:
        """The journal has changed."""
        if self._client is not None:
            self._client.wake()

    def tell_drop(self, vend: rules.Vend) -> None:
        self.tell(topics.DROP, messages.drop(self._boot_id, vend))

    def tell_started(self, vend: rules.Vend) -> None:
        told = rules.Answer(vend.epoch, vend.seq, vend.vend_id, rules.STARTED, None)
        self.tell(topics.STATE, messages.answer(self._boot_id, self._nonces.current, told))

    def tell_stock(self, slot: str, empty: bool) -> bool:
        """Whether it was taken; if not, there is no connection or much to say, and it has to be told again."""
        if self._client is None or len(self._news) >= _MAX_NEWS_BEFORE_STOCK:
            return False
        self.tell(topics.STOCK, messages.stock(self._boot_id, slot, empty))
        return True

    def answer(self, told: "rules.Answer | rules.Vend") -> tuple:
        """(channel, payload) for what a decision answers: an ended vend is an outcome, all else a state."""
        if isinstance(told, rules.Vend):
            self._wait_for_more(_key(told))
            return (topics.OUTCOME, messages.report(self._boot_id, told))
        return (topics.STATE, messages.answer(self._boot_id, self._nonces.current, told))

    def due(self) -> list:
        """The (channel, payload) pairs to publish now; each is due again later, until it is acknowledged."""
        pairs = self._news
        self._news = []
        now = self._clock.ms()
        unacknowledged = self._unacknowledged()
        self._waits = {key: self._waits[key] for key in self._waits if key in unacknowledged}
        for key in unacknowledged:
            if self._waits.get(key, (0, 0))[0] <= now:
                self._wait_for_more(key)
                pairs.append(self._pair(unacknowledged[key]))
        return pairs

    def next_ms(self) -> int:
        """Milliseconds until something is due by time alone."""
        now = self._clock.ms()
        return max(0, min([_LONGEST_WAIT_MS] + [wait[0] - now for wait in self._waits.values()]))

    def tell(self, channel: str, payload: bytes) -> bool:
        """News: sent once if the link stands, else forgotten. Whether it was taken."""
        if self._client is None:
            return False
        if len(self._news) >= _MAX_NEWS:
            warn("news_dropped", channel=channel)
            return False
        self._news.append((channel, payload))
        self._client.wake()
        return True

    def _unacknowledged(self) -> dict:
        state = self._journal.state
        items = {_key(vend): vend for vend in state.vends if vend.state == rules.ENDED}
        items.update({credit[0]: credit for credit in state.credits})
        return items

    def _wait_for_more(self, key: object) -> None:
        wait = min(2 * self._waits.get(key, (0, _FIRST_WAIT_MS // 2))[1], _LONGEST_WAIT_MS)
        self._waits[key] = (self._clock.ms() + wait, wait)

    def _pair(self, item: tuple) -> tuple:
        if isinstance(item, rules.Vend):
            return (topics.OUTCOME, messages.report(self._boot_id, item))
        return (topics.CREDIT, messages.credit(self._boot_id, item[0], item[1], self._currency))


def _key(vend: rules.Vend) -> tuple:
    return (vend.epoch, vend.seq)
