"""The doctor: gathers the facts of a gateway, from beside it, and has `rules` say what they mean.

All checks go at once and each has a deadline, so all of it takes 12 s at most. It changes nothing, and the gateway may
run meanwhile.
"""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx
import zeroconf
from pydantic import ValidationError
from zeroconf import ServiceStateChange
from zeroconf.asyncio import AsyncServiceBrowser, AsyncZeroconf

from edge import site_bundle
from edge.discovery import DEVICE_TYPE, GATEWAY_TYPE
from edge.doctor import rules, store
from edge.doctor.rules import CloudProbe, Finding, Trust
from edge.errors import SettingsError
from edge.identity import is_claimed
from edge.settings import Settings, is_loopback
from edge.site_ca import SERVER_NAME
from shared.bundles import BundleRefused
from shared.errors import Problem

CHECK_S = 12.0
STEP_S = 3.0
"""For each step of the way to the cloud, and for each address."""
LISTEN_S = 3.0
"""mDNS answers come within one (RFC 6762, 6); a second question follows."""
ASKED = "/v1/sync/changes"
"""To which Larder's cloud, and nothing else, says that it knows us not."""

_VERIFY = {
    9: Trust.NOT_YET,
    10: Trust.EXPIRED,
    62: Trust.OTHER_NAME,
    64: Trust.OTHER_NAME,
}
"""X509_V_ERR_… of OpenSSL; all others: nobody whom we know has signed it."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the running gateway says of itself. `status` None: it does not answer; `why` says why."""

    status: int | None
    said: Mapping[str, object]
    why: str = ""

    @property
    def unexpected(self) -> list[str]:
        """Ids of boards that answer by mDNS and are not expected."""
        discovery = self.said.get("discovery")
        return [str(board) for board in discovery.get("unexpected", [])] if isinstance(discovery, dict) else []

    @property
    def sync_error(self) -> str:
        """What keeps it from the cloud."""
        sync = self.said.get("sync")
        return str(sync.get("last_error", "")) if isinstance(sync, dict) else ""


def proxy_in_environment(scheme: str, host: str) -> str | None:
    """The proxy by which this machine's environment has the gateway reach a host."""
    return None if proxy_bypass(host) else getproxies().get(scheme)


class Doctor:
    """Looks at the gateway with these settings. `tls` is how the cloud's certificate is judged."""

    def __init__(
        self,
        settings: Settings,
        now: Callable[[], datetime],
        tls: ssl.SSLContext | None = None,
        proxy_of: Callable[[str, str], str | None] = proxy_in_environment,
    ) -> None:
        self._settings = settings
        self._now = now
        self._tls = tls or ssl.create_default_context()
        self._proxy_of = proxy_of

    async def findings(self) -> list[Finding]:
        """All, in the order in which they are best mended."""
        settings, bundle = self._settings, None
        told = [rules.good("settings", "They can be read, and each is valid.")]
        try:
            bundle = site_bundle.kept_in(settings.state_dir)
        except BundleRefused as error:
            told.append(rules.bad("bundle", f"{error}.", "Set cloud_url; until it has come in, take the bundle again."))
        url = settings.cloud_url if bundle is None else site_bundle.with_bundle(settings, bundle).cloud_url
        running = store.is_running(settings.state_dir)
        asking = asyncio.create_task(self._ask_gateway(running=running), name="doctor asks the gateway")
        checks: dict[str, Callable[[], Awaitable[list[Finding]]]] = {
            "data folder": self._folder,
            "ledger": lambda: self._ledger(asking),
            "cloud": lambda: self._cloud(url),
            "claim": lambda: self._place(asking, has_bundle=bundle is not None),
            "ports": lambda: self._ports(running=running),
            "site's CA": self._certificates,
            "broker": lambda: self._broker(running=running),
            "mDNS": lambda: self._mdns(asking, running=running),
            "kiosk": lambda: self._kiosk(asking, running=running),
        }
        found = await asyncio.gather(*(_in_time(name, check) for name, check in checks.items()))
        return [*told, *(one for part in found for one in part)]

    async def _folder(self) -> list[Finding]:
        return [rules.judge_folder(await asyncio.to_thread(store.folder, self._settings.state_dir))]

    async def _ledger(self, asking: asyncio.Task[_Asked]) -> list[Finding]:
        found = await asyncio.to_thread(store.ledger, self._settings.state_dir, CHECK_S / 2)
        if found.running:
            asked = await asyncio.shield(asking)
            found = replace(found, works=asked.said.get("ledger") is True, why=asked.why)
        return [rules.judge_ledger(found)]

    async def _cloud(self, url: str) -> list[Finding]:
        found, now = await self.probe(url), self._now()
        by_network = store.SYNCHRONISED.exists()
        offset = rules.offset_of(found, now)
        return [rules.judge_cloud(found, now), rules.judge_clock(offset, by_network=by_network)]

    async def _place(self, asking: asyncio.Task[_Asked], *, has_bundle: bool) -> list[Finding]:
        settings = self._settings
        place = rules.Place(
            claimed=is_claimed(settings.state_dir),
            has_bundle=has_bundle,
            has_code=settings.read_claim_code() is not None,
            said=(await asyncio.shield(asking)).sync_error,
        )
        return [rules.judge_place(place)]

    async def _ports(self, *, running: bool) -> list[Finding]:
        wanted = (
            ("kiosk_port", self._settings.kiosk_host, self._settings.kiosk_port),
            ("mqtt_port", self._settings.mqtt_host, self._settings.mqtt_port),
        )
        found = [await asyncio.to_thread(store.port, *one, running=running) for one in wanted]
        return [rules.judge_port(one) for one in found]

    async def _certificates(self) -> list[Finding]:
        found = await asyncio.to_thread(store.certificates, self._settings.state_dir / "site-ca")
        return [rules.judge_certificates(found, self._now())]

    async def _broker(self, *, running: bool) -> list[Finding]:
        settings = self._settings
        host = settings.mqtt_host
        everywhere = host in {"0.0.0.0", "::"}  # noqa: S104  compared, not bound
        addresses = [*(settings.mdns_interfaces or ("127.0.0.1",))] if everywhere else [host]
        outcomes = [(address, await self._handshake(address)) for address in addresses] if running else []
        found = rules.Broker(
            running=running,
            loopback_only=all(is_loopback(address) for address in addresses) and not everywhere,
            reached=[address for address, why in outcomes if not why],
            failures=[(address, why) for address, why in outcomes if why],
        )
        return [rules.judge_broker(found)]

    async def _handshake(self, address: str) -> str:
        """As a board would; why it fails, or nothing."""
        try:
            trusting = ssl.create_default_context(cafile=self._settings.state_dir / "site-ca" / "ca.pem")
            async with asyncio.timeout(STEP_S):
                opening = asyncio.open_connection(
                    address, self._settings.mqtt_port, ssl=trusting, server_hostname=SERVER_NAME
                )
                _, writer = await opening
        except TimeoutError:
            return "no answer"
        except OSError as error:
            return error.strerror or str(error)
        writer.transport.abort()
        return ""

    async def _mdns(self, asking: asyncio.Task[_Asked], *, running: bool) -> list[Finding]:
        interfaces = self._settings.mdns_interfaces
        heard: set[str] = set()
        why = ""
        if interfaces:
            try:
                await _listen(interfaces, heard)
            except (OSError, zeroconf.Error) as error:
                why = str(error)
        boards = sum(name.endswith(DEVICE_TYPE) for name in heard)
        heard_self = any(name.endswith(GATEWAY_TYPE) for name in heard)
        unexpected = (await asyncio.shield(asking)).unexpected
        return [rules.judge_mdns(rules.Mdns(interfaces, running, heard_self, boards, why, unexpected))]

    async def _kiosk(self, asking: asyncio.Task[_Asked], *, running: bool) -> list[Finding]:
        asked = await asyncio.shield(asking)
        return [rules.judge_kiosk(self._kiosk_url, running=running, status=asked.status, why=asked.why)]

    @property
    def _kiosk_url(self) -> str:
        host = self._settings.kiosk_host
        host = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104  compared, not bound
        return f"http://{f'[{host}]' if ':' in host else host}:{self._settings.kiosk_port}"

    async def _ask_gateway(self, *, running: bool) -> _Asked:
        if not running:
            return _Asked(None, {})
        try:
            async with httpx.AsyncClient(timeout=STEP_S, trust_env=False) as http:
                answer = await http.get(f"{self._kiosk_url}/health/ready")
            said = answer.json()
            return _Asked(answer.status_code, said if isinstance(said, dict) else {})
        except (httpx.HTTPError, json.JSONDecodeError) as error:
            return _Asked(None, {}, type(error).__name__)

    async def probe(self, url: str) -> CloudProbe:
        """The way to the cloud, step by step, up to the first that fails."""
        parts = urlsplit(url)
        through = self._proxy_of(parts.scheme, str(parts.hostname))
        found = _way_to(url, through)
        try:
            async with asyncio.timeout(STEP_S):
                await asyncio.get_running_loop().getaddrinfo(found.host, found.port)
        except (OSError, TimeoutError):
            return replace(found, resolved=False)
        found = replace(found, resolved=True)
        try:
            async with asyncio.timeout(STEP_S):
                _, writer = await asyncio.open_connection(found.host, found.port)
            writer.transport.abort()
        except TimeoutError:
            return replace(found, connected=False, why="no answer")
        except OSError as error:
            return replace(found, connected=False, why=_reason(error))
        return await self._call(replace(found, connected=True), through)

    async def _call(self, found: CloudProbe, through: str | None) -> CloudProbe:
        if not found.url.startswith("https://"):
            return await _request(found, through, verify=False)
        trust = await self._trust(found)
        found = replace(found, trust=trust)
        if trust in {Trust.EXPIRED, Trust.NOT_YET}:
            # Its clock tells whose fault that is. Nothing else of this answer is believed.
            return replace(await _request(found, through, verify=False), answered=None, is_larder=False)
        return await _request(found, through, verify=self._tls) if trust in {Trust.FINE, Trust.NOT_ASKED} else found

    async def _trust(self, found: CloudProbe) -> Trust:
        if found.proxy is not None:
            return Trust.NOT_ASKED
        try:
            async with asyncio.timeout(STEP_S):
                _, writer = await asyncio.open_connection(
                    found.host, found.port, ssl=self._tls, server_hostname=found.host
                )
        except ssl.SSLCertVerificationError as error:
            return _VERIFY.get(error.verify_code, Trust.UNKNOWN_ISSUER)
        except ssl.SSLError:
            return Trust.NO_TLS
        except (OSError, TimeoutError):
            return Trust.NOT_ASKED
        writer.transport.abort()
        return Trust.FINE


def settings_refused(error: SettingsError) -> list[Finding]:
    """All that can be said while the settings are wrong."""
    return [rules.bad("settings", str(error), "Correct that setting; nothing else can be looked at before.")]


async def _in_time(name: str, check: Callable[[], Awaitable[list[Finding]]]) -> list[Finding]:
    try:
        async with asyncio.timeout(CHECK_S):
            return await check()
    except TimeoutError:
        return [rules.late(name, CHECK_S)]
    except OSError as error:
        return [rules.bad(name, f"It cannot be looked at: {error.strerror or error}.", "Run the doctor as root.")]


def _way_to(url: str, proxy: str | None) -> CloudProbe:
    """To the cloud itself, or to the proxy before it, of which nothing secret is told."""
    parts = urlsplit(url)
    if proxy is None:
        return CloudProbe(url, str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80))
    way = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return CloudProbe(url, str(way.hostname), way.port or 80, proxy=f"http://{way.hostname}:{way.port or 80}")


async def _request(found: CloudProbe, through: str | None, *, verify: ssl.SSLContext | bool) -> CloudProbe:
    """What it says. `through` is the proxy's address with its password, if it has one: nobody is shown that."""
    started = asyncio.get_running_loop().time()
    try:
        proxy = through if through is None or "://" in through else f"http://{through}"
        client = httpx.AsyncClient(verify=verify, timeout=STEP_S, proxy=proxy, trust_env=False)
        async with asyncio.timeout(STEP_S), client as http:
            answer = await http.get(f"{found.url}{ASKED}")
    except httpx.ConnectError as error:
        untrusted = "CERTIFICATE_VERIFY_FAILED" in str(error)
        return replace(found, trust=Trust.UNKNOWN_ISSUER) if untrusted else replace(found, answered=False)
    except (httpx.HTTPError, OSError, TimeoutError):
        return replace(found, answered=False)
    round_trip = timedelta(seconds=asyncio.get_running_loop().time() - started)
    told = _date(answer.headers.get("date", ""))
    return replace(found, answered=True, is_larder=_is_larder(answer), date=told, round_trip=round_trip)


def _is_larder(answer: httpx.Response) -> bool:
    try:
        Problem.model_validate_json(answer.content)
    except ValidationError:
        return False
    return True


def _date(header: str) -> datetime | None:
    """The middle of the second that it names."""
    try:
        told = parsedate_to_datetime(header)
    except ValueError:
        return None
    return None if told.tzinfo is None else told.astimezone(UTC) + timedelta(milliseconds=500)


def _reason(error: OSError) -> str:
    return "the connection is refused" if isinstance(error, ConnectionRefusedError) else error.strerror or str(error)


async def _listen(interfaces: tuple[str, ...], heard: set[str]) -> None:
    def hear(zeroconf: zeroconf.Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        heard.add(name)

    mdns = AsyncZeroconf(interfaces=list(interfaces))
    browser = AsyncServiceBrowser(mdns.zeroconf, [GATEWAY_TYPE, DEVICE_TYPE], handlers=[hear])
    try:
        await asyncio.sleep(LISTEN_S)
    finally:
        await browser.async_cancel()
        await mdns.async_close()
