"""File systems of a test. They live in a private mount namespace, so they end with the processes that use them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class NoMounts(Exception):
    """This machine does not let us mount what the test needs. The text says what is missing."""


def privately(*command: str) -> list[str]:
    """`command` in a mount namespace of its own; without root in a user namespace too, where tmpfs can be mounted."""
    rights = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *rights, "--mount", "--propagation", "private", *command]


def run_privately(module: str, *arguments: str, seconds: float) -> str:
    """What `python -m module` prints when it runs so. Raises AssertionError with its whole output if it fails."""
    command = privately(sys.executable, "-W", "error", "-m", module, *arguments)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-6000:]}")
    return done.stdout


@contextmanager
def mounted(place: Path, *how: str) -> Iterator[Path]:
    """`mount HOW place` for a while. Raises NoMounts."""
    place.mkdir(exist_ok=True)
    try:
        subprocess.run(["mount", *how, str(place)], check=True, capture_output=True, text=True, timeout=20)
    except subprocess.CalledProcessError as error:
        raise NoMounts(f"mount {' '.join(how)} is not possible here: {error.stderr.splitlines()[0]}") from error
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True, timeout=20)


@contextmanager
def tmpfs(place: Path, megabytes: int) -> Iterator[Path]:
    """A file system in memory, of a size."""
    with mounted(place, "-t", "tmpfs", "-o", f"size={megabytes}M", "tmpfs"):
        yield place


def make_ext4(image: Path, megabytes: int, *options: str) -> None:
    """A file that holds an empty ext4."""
    with image.open("wb") as file:
        file.truncate(megabytes * 1024 * 1024)
    subprocess.run(["/usr/sbin/mkfs.ext4", "-q", "-F", *options, str(image)], check=True, timeout=20)
