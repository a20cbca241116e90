"""Small files on the device's flash."""

import os


class Flash:
    """The files of one folder. Every method raises OSError when the flash does."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def has(self, name: str) -> bool:
        return name in os.listdir(self.folder)

    def remove(self, name: str) -> None:
        """No harm if there is none."""
        if self.has(name):
            os.remove(self._path(name))

    def read(self, name: str) -> bytes:
        """The whole file; empty if there is none."""
        if not self.has(name):
            return b""
        with open(self._path(name), "rb") as file:
            return file.read()

    def read_end(self, name: str, size: int) -> bytes:
        """The last `size` bytes of the file."""
        with open(self._path(name), "rb") as file:
            file.seek(-size, 2)
            return file.read(size)

    def append(self, name: str, data: bytes) -> None:
        """Add `data` to the file; on flash when this returns (littlefs commits on close)."""
        self._write(name, "ab", data)

    def replace(self, name: str, data: bytes) -> None:
        """Make the file `data`. A power cut may leave a part of it."""
        self._write(name, "wb", data)

    def rename(self, name: str, to: str) -> None:
        """A file that is there already gives way. littlefs does that at once or not at all."""
        os.rename(self._path(name), self._path(to))

    def free_bytes(self) -> int:
        status = os.statvfs(self.folder)
        return status[0] * status[3]

    def _write(self, name: str, mode: str, data: bytes) -> None:
        with open(self._path(name), mode) as file:
            file.write(data)
            file.flush()

    def _path(self, name: str) -> str:
        return self.folder + "/" + name
