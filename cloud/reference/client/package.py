"""The client as files: an installable package with its first steps."""

import io
import json
import textwrap
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from cloud.reference.client.naming import class_of
from cloud.reference.client.operations import Group, groups_of, problems_of
from cloud.reference.client.types import models_of, name_in

PACKAGE = "larder_client"
DISTRIBUTION = "larder-client"
_RUNTIME = Path(__file__).parent / "runtime"
_WIDTH = 116
"""Of a docstring's lines; three quotes more fit into 120."""
_OLDEST = (2020, 1, 1, 0, 0, 0)


def files_of(document: Mapping[str, Any]) -> dict[str, str]:
    """Path in the package's folder → text; the same for the same document. Raises NamedTwice."""
    groups = groups_of(document)
    rooms = Environment(
        loader=PackageLoader("cloud.reference.client"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  it writes Python, whose strings are escaped by `quoted`
    )
    rooms.filters["quoted"] = json.dumps
    rooms.filters["docstring"] = _docstring
    context = {
        "groups": groups,
        "models": models_of(document["components"]["schemas"], *_spoken_of(document, groups)),
        "problems": _problems(document),
        "version": document["info"]["version"],
        "package": PACKAGE,
        "distribution": DISTRIBUTION,
    }
    made = {f"{PACKAGE}/{path.name}": path.read_text() for path in sorted(_RUNTIME.glob("*.py"))}
    for name in sorted(rooms.list_templates(extensions=["jinja"])):
        target = name.removesuffix(".jinja")
        where = f"{PACKAGE}/{target}" if target.endswith(".py") else target
        made[where] = rooms.get_template(name).render(context)
    return made | {f"{PACKAGE}/py.typed": ""}


def write(document: Mapping[str, Any], folder: Path) -> int:
    """Writes the package, over an older one too. How many files. Raises FileExistsError if something else is there."""
    about = folder / "pyproject.toml"
    is_ours = about.is_file() and f'name = "{DISTRIBUTION}"' in about.read_text()
    if folder.exists() and any(folder.iterdir()) and not is_ours:
        raise FileExistsError(f"{folder} holds something else")
    made = files_of(document)
    for name, text in made.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return len(made)


def archive(document: Mapping[str, Any]) -> bytes:
    """The same as a ZIP that pip can install; the same bytes for the same document."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in files_of(document).items():
            file.writestr(zipfile.ZipInfo(str(PurePosixPath(DISTRIBUTION) / name), _OLDEST), text)
    return packed.getvalue()


def _spoken_of(document: Mapping[str, Any], groups: list[Group]) -> tuple[set[str], set[str]]:
    """The schemas that are answered, and those that are sent."""
    schemas = document["components"]["schemas"]
    methods = [method for group in groups for method in group.methods]
    answers = {method.answer for method in methods if method.answer}
    answers |= {f"{method.answer}InPage" for method in methods if method.fields}
    sent = {method.body for method in methods if method.body in schemas}
    sent |= set(_in_parameters(document))
    return {str(name) for name in answers}, {str(name) for name in sent}


def _in_parameters(document: Mapping[str, Any]) -> Iterator[str]:
    for methods in document["paths"].values():
        for told in methods.values():
            for parameter in told.get("parameters", []):
                if "$ref" in parameter["schema"]:
                    yield name_in(parameter["schema"]["$ref"])


def _problems(document: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Code → name of its class, and what it means."""
    found: dict[str, tuple[str, str]] = {}
    for methods in document["paths"].values():
        for told in methods.values():
            found |= {code: (class_of(code), meaning) for code, meaning in problems_of(told).items()}
    return dict(sorted(found.items()))


def _docstring(text: str, indent: int = 4) -> str:
    """A literal that stands at this depth."""
    plain = text.strip().replace("\\", "\\\\").replace('"""', "'''")
    lines = [part for line in plain.split("\n") for part in textwrap.wrap(line, _WIDTH - indent) or [""]]
    body = textwrap.indent("\n".join(lines), " " * indent).strip()
    ending = f"\n{' ' * indent}" if len(lines) > 1 else " " if body.endswith('"') else ""
    return f'"""{body}{ending}"""'
