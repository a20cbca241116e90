# mypy: ignore-errors
"""TLS as the firmware asks for it. The protocol and the verification of chain and name are node's, not mbedTLS."""

import binascii

import _pc

PROTOCOL_TLS_CLIENT = 0
CERT_NONE = 0
CERT_REQUIRED = 2


class SSLContext:
    def __init__(self, protocol: int) -> None:
        self.verify_mode = CERT_REQUIRED
        self._authority = 0

    def load_verify_locations(self, cadata: bytes) -> None:
        self._authority = _pc.socket_trust(str(binascii.hexlify(cadata), "ascii"))
        if not self._authority:
            raise ValueError("invalid cert")

    def wrap_socket(self, wire, server_hostname: str, do_handshake_on_connect: bool = True):
        """Verifies always: a context that does not require it is none that the firmware may use."""
        if self.verify_mode != CERT_REQUIRED or not self._authority or do_handshake_on_connect:
            raise OSError("not this way")
        _pc.socket_secure(wire.number, self._authority, server_hostname)
        return wire
