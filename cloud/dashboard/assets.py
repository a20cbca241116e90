"""The built scripts, styles and pictures: what pages name, and how it is served."""

import json
from pathlib import Path

from quart import Response, send_from_directory
from werkzeug.exceptions import NotFound

from cloud.operations import Access, operation

FOLDER = Path(__file__).parent / "static"
URL = "/assets/"
FOREVER = "public, max-age=31536000, immutable"
"""Every name carries a digest of what it holds."""


class Assets:
    """What `manifest.json` lists, by source. Raises FileNotFoundError when the pages were not built (`./dev` does)."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._manifest = json.loads((folder / "manifest.json").read_text())
        self._names = {entry["file"] for entry in self._manifest.values()}
        self._names.update(name for entry in self._manifest.values() for name in entry.get("css", ()))

    def url(self, source: str) -> str:
        """Where a browser gets `src/shell.ts`, or whatever else was built. Raises KeyError."""
        return URL + str(self._manifest[source]["file"])

    def styles(self, source: str) -> list[str]:
        """The style sheets that an entry asks for. Raises KeyError."""
        return [URL + name for name in self._manifest[source].get("css", ())]

    def imports(self, source: str) -> list[str]:
        """The scripts that an entry begins with, to be fetched at once with it. Raises KeyError."""
        return [URL + str(self._manifest[name]["file"]) for name in self._manifest[source].get("imports", ())]

    @operation(Access.PUBLIC)
    async def serve(self, filename: str) -> Response:
        """GET /assets/…. Raises NotFound for all but what was built."""
        if filename not in self._names:
            raise NotFound
        answer = await send_from_directory(self._folder, filename)
        answer.headers["Cache-Control"] = FOREVER
        return answer
