"""HAProxy before instances of the cloud, set up as `cloud/OPERATING.md` advises: a request that may be repeated, is."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

PROGRAM = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
CONFIGURATION = """
defaults
    mode http
    timeout connect 5s
    timeout http-request 30s
    timeout check 5s
    timeout client 60s
    timeout server 60s
    timeout tunnel 1h
    option forwardfor
    option redispatch 1
    option http-buffer-request
    retries 3
    retry-on conn-failure empty-response junk-response response-timeout

frontend clients
    bind 127.0.0.1:{port}
    default_backend cloud

backend cloud
    balance roundrobin
    option httpchk GET /health/ready
    default-server check inter 300ms fall 2 rise 1
    http-request disable-l7-retry unless METH_GET || METH_HEAD || METH_PUT || METH_DELETE || {{ path /v1/sync/facts }}
{servers}
"""


def free_port() -> int:
    """One that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def balanced(folder: Path, ports: Sequence[int]) -> AsyncIterator[str]:
    """The URL before all that listen on these ports of loopback."""
    assert PROGRAM is not None
    port = free_port()
    servers = "\n".join(f"    server cloud{number} 127.0.0.1:{number}" for number in ports)
    file = folder / "haproxy.cfg"
    file.write_text(CONFIGURATION.format(port=port, servers=servers))
    process = await asyncio.create_subprocess_exec(PROGRAM, "-db", "-f", str(file))
    try:
        await _listening(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


async def _listening(port: int) -> None:
    for _ in range(500):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return
    raise AssertionError("HAProxy does not listen")
