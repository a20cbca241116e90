"""Our memory and environment are not for other programs of our user, such as a decoder that was taken over."""

import asyncio
import os
import sys

import pytest

from tests.cloud.processes import serving

_READ = """
def read(pid):
    found = []
    for name in ("environ", "maps", "mem"):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as file:
                if name != "mem":
                    file.read(64)
                found.append(name)
        except PermissionError:
            pass
    return " ".join(found)
"""
SIBLING = f"""
import ctypes, os, sys
from cloud import private_memory
{_READ}
if os.geteuid() == 0:
    os.setgid(60817)
    os.setuid(60817)  # who has no capabilities, like a service's user
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # which made us undumpable, until a program is started
if sys.argv[1] == "hidden":
    private_memory.hide()
if os.fork() == 0:
    print(read(os.getppid()), flush=True)
    os._exit(0)
os.wait()
"""
"""A process, and another of the same user that looks into it."""
DECODER = f"""
import sys
from cloud.image_encoder import confine
{_READ}
confine(0, 1_000_000)
print(read(int(sys.argv[1])) or "nothing")
print(open("/proc/self/status").read().partition("CapEff:")[2].split()[0])
"""
"""What runs in place of the decoder, once it was confined as that is."""
_PLAIN_USER = """
import ctypes
header, capabilities = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
ctypes.CDLL(None).capget(header, capabilities)
for number in (19, 21, 38):
    for word in range(3):
        capabilities[number // 32 * 3 + word] &= ~(1 << number % 32)
ctypes.CDLL(None).capset(header, capabilities)
"""
"""A service's user has neither CAP_SYS_PTRACE nor CAP_SYS_ADMIN nor CAP_PERFMON, by which Linux lets others' memory be
read; root gives them up to be held to the same."""
CLOUD = f"{_PLAIN_USER}\nimport runpy\nrunpy.run_module('cloud', run_name='__main__')"
SAME_USER = f"{_PLAIN_USER}{_READ}\nimport sys\nprint(read(int(sys.argv[1])) or 'nothing')"
PRODUCTION = {
    "LARDER_CLOUD_ENVIRONMENT": "production",
    "LARDER_CLOUD_TRUSTED_PROXIES": "127.0.0.0/8",
    "LARDER_CLOUD_PUBLIC_URL": "https://cloud.example",
    "LARDER_CLOUD_MAIL_URL": "smtp://127.0.0.1:9",
}


async def said(program: str, *arguments: str) -> list[str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-c", program, *arguments), stdout=asyncio.subprocess.PIPE, env={}
    )
    async with asyncio.timeout(20):
        written, _ = await process.communicate()
    assert process.returncode == 0
    return written.decode().splitlines()


async def test_a_program_of_the_same_user_reads_nothing_of_a_hidden_process() -> None:
    assert await said(SIBLING, "plain") == ["environ maps mem"], "it could not have read it anyway"
    assert await said(SIBLING, "hidden") == [""]


@pytest.mark.criterion("10.2")
async def test_a_decoder_that_was_taken_over_reads_nothing_of_the_cloud(database_url: str) -> None:
    async with serving(database_url, ("-c", CLOUD), **PRODUCTION) as cloud:
        assert await said(SAME_USER, str(cloud.process.pid)) == ["nothing"], "it did not hide"
        assert await said(DECODER, str(cloud.process.pid)) == ["nothing", "0" * 16]
        if os.geteuid() == 0:  # who may look all the same, as our benchmarks do
            assert await said(f"{_READ}\nprint(read({cloud.process.pid}))") == ["environ maps mem"]
