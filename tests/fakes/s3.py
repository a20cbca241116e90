"""As much of S3 as a store of files needs: objects whole and in parts, deletion of many. It checks signatures (V4)."""

import hashlib
import hmac
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from quart import Quart, Response, request

from tests.fakes.served import on_a_port

REGION = "eu-test-1"
LEAST_PART_BYTES = 5 * 1024 * 1024
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8}/[^/]+/s3/aws4_request), ?SignedHeaders=([^,]+), ?Signature=(\w+)"
)


@dataclass
class FakeS3:
    """One bucket. Ask `url` for it; `broken` makes it answer 500 to everything."""

    bucket: str = "larder-test"
    key_id: str = "test-key"
    secret: str = "not-a-secret-of-anybody"
    url: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    """Begun and neither completed nor aborted: their parts."""
    largest_part: int = 0
    most_parts: int = 0
    broken: bool = False

    async def put(self, key: str) -> Response:
        """A whole object, or one part."""
        body = b"".join([piece async for piece in request.body])
        if hashlib.sha256(body).hexdigest() != request.headers["X-Amz-Content-Sha256"]:
            return _error("XAmzContentSHA256Mismatch", 400)
        if "uploadId" not in request.args:
            self.objects[key] = body
            return Response(b"", headers={"ETag": _etag(body)})
        parts = self.uploads.get(request.args["uploadId"])
        if parts is None:
            return _error("NoSuchUpload", 404)
        parts[int(request.args["partNumber"])] = body
        self.largest_part = max(self.largest_part, len(body))
        return Response(b"", headers={"ETag": _etag(body)})

    async def post(self, key: str) -> Response:
        """Begins an upload in parts, or completes one."""
        if "uploads" in request.args:
            name = f"upload-{len(self.uploads)}-{len(self.objects)}"
            self.uploads[name] = {}
            return _xml(f"<InitiateMultipartUploadResult><UploadId>{name}</UploadId></InitiateMultipartUploadResult>")
        parts = self.uploads.get(request.args["uploadId"])
        if parts is None:
            return _error("NoSuchUpload", 404)
        told = ET.fromstring(await request.get_data(as_text=False))  # noqa: S314  obstore wrote it
        listed = [(int(_text(part, "PartNumber")), _text(part, "ETag")) for part in told]
        if not listed or [(number, _etag(parts.get(number, b""))) for number, _ in listed] != listed:
            return _error("InvalidPart", 400)
        if any(len(parts[number]) < LEAST_PART_BYTES for number, _ in listed[:-1]):
            return _error("EntityTooSmall", 400)
        self.objects[key] = b"".join(parts[number] for number, _ in listed)
        self.most_parts = max(self.most_parts, len(listed))
        del self.uploads[request.args["uploadId"]]
        etag = _etag(self.objects[key]).strip('"')
        return _xml(f"<CompleteMultipartUploadResult><ETag>{etag}</ETag></CompleteMultipartUploadResult>")

    async def get(self, key: str) -> Response:
        """An object."""
        if key not in self.objects:
            return _error("NoSuchKey", 404)
        last = "Sun, 01 Mar 2026 09:30:00 GMT"
        return Response(self.objects[key], headers={"ETag": _etag(self.objects[key]), "Last-Modified": last})

    async def delete(self, key: str) -> Response:
        """An object, or an upload that shall not be completed."""
        if "uploadId" in request.args:
            self.uploads.pop(request.args["uploadId"], None)
        else:
            self.objects.pop(key, None)
        return Response(status=204)

    async def delete_many(self) -> Response:
        """POST /BUCKET?delete."""
        told = ET.fromstring(await request.get_data(as_text=False))  # noqa: S314  obstore wrote it
        keys = [_text(each, "Key") for each in told if each.tag.endswith("Object")]
        for key in keys:
            self.objects.pop(key, None)
        return _xml(f"<DeleteResult>{''.join(f'<Deleted><Key>{key}</Key></Deleted>' for key in keys)}</DeleteResult>")

    def refusal(self) -> Response | None:
        """Unless the request is signed with the key, and this works today."""
        if self.broken:
            return _error("InternalError", 500)
        found = _AUTHORIZATION.fullmatch(request.headers.get("Authorization", ""))
        if found is None or found[1] != self.key_id or f"/{REGION}/" not in found[2]:
            return _error("InvalidAccessKeyId", 403)
        return None if hmac.compare_digest(self._signature(found[2], found[3]), found[4]) else _error("Signature", 403)

    def _signature(self, scope: str, signed: str) -> str:
        headers = "".join(f"{name}:{request.headers[name].strip()}\n" for name in signed.split(";"))
        query = "&".join(sorted(part if "=" in part else f"{part}=" for part in _query().split("&") if part))
        path = request.scope["raw_path"].decode().partition("?")[0]
        hashed = request.headers["X-Amz-Content-Sha256"]
        asked = f"{request.method}\n{path}\n{query}\n{headers}\n{signed}\n{hashed}"
        text = (
            f"AWS4-HMAC-SHA256\n{request.headers['X-Amz-Date']}\n{scope}\n{hashlib.sha256(asked.encode()).hexdigest()}"
        )
        key = f"AWS4{self.secret}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.digest(key, text.encode(), "sha256").hex()


def _query() -> str:
    return request.query_string.decode()


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


def _text(element: ET.Element, name: str) -> str:
    return next(unquote(child.text or "") for child in element if child.tag.endswith(name))


def _xml(text: str) -> Response:
    return Response(f'<?xml version="1.0" encoding="UTF-8"?>{text}', mimetype="application/xml")


def _error(code: str, status: int) -> Response:
    answer = _xml(f"<Error><Code>{code}</Code><Message>{code}</Message></Error>")
    answer.status_code = status
    return answer


@asynccontextmanager
async def running_s3() -> AsyncIterator[FakeS3]:
    """On a free port of loopback."""
    fake, app = FakeS3(), Quart("s3")
    app.config["MAX_CONTENT_LENGTH"] = None
    app.before_request(fake.refusal)
    app.add_url_rule(f"/{fake.bucket}", "delete_many", fake.delete_many, methods=["POST"])
    for method in ("get", "put", "post", "delete"):
        app.add_url_rule(f"/{fake.bucket}/<path:key>", method, getattr(fake, method), methods=[method.upper()])
    async with on_a_port(app) as port:
        fake.url = f"http://127.0.0.1:{port}"
        yield fake
