"""The certificate this program shows when it speaks HTTPS itself. A renewed one is taken over without a restart."""

import ssl
from pathlib import Path

import structlog

from cloud.errors import SettingsError

log = structlog.get_logger()


class Certificate:
    """A certificate with its key, in files. Connections made after a renewal see the new one; open ones keep theirs."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Raises SettingsError when the files hold no certificate with its key."""
        self.certificate = certificate
        self.key = key
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        self._context.set_alpn_protocols(["http/1.1"])
        self._load(self._context)
        self._held = self._content()

    @property
    def context(self) -> ssl.SSLContext:
        """One and the same for the life of the process."""
        return self._context

    def renew(self) -> None:
        """Take what the files hold now, if it is another and good. What is wrong changes nothing, and is logged."""
        try:
            content = self._content()
            if content == self._held:
                return
            self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))  # whatever is wrong shows here
            self._load(self._context)
        except SettingsError as error:
            log.error("certificate_not_renewed", error=str(error))
            return
        self._held = content
        log.warning("certificate_renewed", file=str(self.certificate))

    def _content(self) -> tuple[bytes, bytes]:
        try:
            return self.certificate.read_bytes(), self.key.read_bytes()
        except OSError as error:
            raise _unfit(f"{error.filename} cannot be read: {error.strerror}") from error

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(self.certificate, self.key, password=_no_password)
        except (OSError, ValueError) as error:  # SSLError is an OSError
            raise _unfit(f"{self.certificate} and {self.key} hold no certificate with its key") from error


def _no_password() -> str:
    """Instead of OpenSSL's question on the terminal, for which nobody is there."""
    return ""


def _unfit(reason: str) -> SettingsError:
    return SettingsError(f"LARDER_CLOUD_TLS_CERTIFICATE_FILE: {reason}")
