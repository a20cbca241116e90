"""Whom the gateway takes for the cloud: whoever a trusted authority vouches for, even while its clock is behind.

A Pi has no battery for its clock, and many a network lets no NTP through. Its certificates are then "not yet valid",
for ever, and it would never be told the time. What lies ahead of a clock that is behind proves no forger: so once a
certificate was refused for that reason alone, its beginning is not looked at, as long as nobody has told the time, or
the machine's own clock is behind what the cloud told. Its end always is, by the latest time that is known to have come.
"""

import ssl
from collections.abc import Callable
from datetime import timedelta

import httpx
import structlog

from edge.clock import Clock
from shared.contract import ClockQuality

NOT_YET_VALID = 9
"""X509_V_ERR_CERT_NOT_YET_VALID (OpenSSL, x509_vfy.h)."""
NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME (OpenSSL, x509_vfy.h), which Python's ssl has no name for."""
BEHIND = timedelta(minutes=1)

log = structlog.get_logger()


class CloudTrust:
    """Makes TLS contexts; `contexts` gives a new one that trusts whom this machine trusts, and checks host names."""

    def __init__(self, clock: Clock, contexts: Callable[[], ssl.SSLContext] = httpx.create_ssl_context) -> None:
        self._clock = clock
        self._contexts = contexts
        self._doubted = False

    def context(self) -> ssl.SSLContext:
        """For a connection to be made now."""
        context = self._contexts()
        if self._is_behind():
            context.verify_flags |= ssl.VerifyFlags(NO_CHECK_TIME)
            context.sslobject_class = self._ending_in_time()
        return context

    def doubts_clock(self, error: BaseException) -> bool:
        """Whether that error may come of this machine's clock alone: contexts made from now on will not mind."""
        if not _not_yet_valid(error):
            return False
        self._doubted = True
        log.warning("cloud_certificate_not_yet_valid", clock_shows=self._clock.wall().isoformat(timespec="seconds"))
        return self._is_behind()

    def _is_behind(self) -> bool:
        if self._clock.quality is ClockQuality.SYNCED:
            return self._clock.now() - self._clock.wall() > BEHIND
        return self._doubted

    def _ending_in_time(self) -> type[ssl.SSLObject]:
        clock = self._clock

        class EndingInTime(ssl.SSLObject):
            """Refuses a certificate that has ended before it sends a word of ours."""

            def do_handshake(self) -> None:
                super().do_handshake()
                now = max(clock.now(), clock.wall()).timestamp()
                if ssl.cert_time_to_seconds(str((self.getpeercert() or {})["notAfter"])) <= now:
                    raise ssl.SSLError("certificate verify failed: certificate has expired")

        return EndingInTime


def _not_yet_valid(error: BaseException | None) -> bool:
    """An HTTP library wraps what TLS said."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_code == NOT_YET_VALID
        error = error.__cause__ or error.__context__
    return False
