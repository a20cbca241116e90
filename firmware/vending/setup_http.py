"""The little of HTTP/1.1 (RFC 9112) that one page needs. One request a connection, each bounded in size and time."""

import asyncio
from collections import namedtuple

from .checks import is_digits
from .log import log

MAX_HEAD = 4_096
MAX_BODY = 32_768
CHUNK = 1_024
MAX_CONNECTIONS = 4
REQUEST_S = 15
REASONS = {200: "OK", 202: "Accepted", 302: "Found", 400: "Bad Request", 403: "Forbidden", 404: "Not Found"}
REASONS.update({405: "Method Not Allowed", 409: "Conflict", 411: "Length Required", 413: "Content Too Large"})

Request = namedtuple("Request", ("method", "path", "host", "body"))
Answer = namedtuple("Answer", ("status", "headers", "body"))


class BadRequest(Exception):
    """`status` is what to answer."""

    def __init__(self, status: int) -> None:
        super().__init__(REASONS[status])
        self.status = status


class Counter:
    """Hands requests to `respond`, a function of a Request. To be given to asyncio.start_server as `serve`."""

    def __init__(self, respond, request_s: float = REQUEST_S) -> None:
        self._respond = respond
        self._request_s = request_s
        self._open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection; with too many open it is closed at once."""
        self._open += 1
        try:
            if self._open <= MAX_CONNECTIONS:
                await asyncio.wait_for(self._talk(reader, writer), self._request_s)
        except (OSError, EOFError, asyncio.TimeoutError) as error:
            log("visitor_lost", error=str(error) or "timed out")
        finally:
            self._open -= 1
            await _close(writer)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answer = self._respond(await read_request(reader))
        except BadRequest as error:
            answer = Answer(error.status, (), str(error).encode())
        head = ["HTTP/1.1 " + str(answer.status) + " " + REASONS[answer.status]]
        head.extend(answer.headers)
        head.extend(["Content-Length: " + str(len(answer.body)), "Cache-Control: no-store", "Connection: close"])
        writer.write(("\r\n".join(head) + "\r\n\r\n").encode())
        # Bit by bit: what the socket does not take at once is copied.
        for start in range(0, len(answer.body), CHUNK):
            await writer.drain()
            writer.write(answer.body[start : start + CHUNK])
        await writer.drain()


async def read_request(reader: asyncio.StreamReader) -> Request:
    """Raises BadRequest, OSError, EOFError."""
    head, rest = await _read_head(reader)
    lines = head.split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequest(400)
    fields = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon:
            raise BadRequest(400)
        fields[name.lower()] = value.strip()
    body = await _read_body(reader, rest, fields) if words[0] == "POST" else b""
    return Request(words[0], words[1].split("?")[0], fields.get("host", ""), body)


async def _read_head(reader: asyncio.StreamReader) -> tuple:
    """The head as text, and what came behind it."""
    data = b""
    while b"\r\n\r\n" not in data:
        if len(data) > MAX_HEAD:
            raise BadRequest(413)
        more = await reader.read(512)
        if not more:
            raise EOFError("no request")
        data += more
    end = data.find(b"\r\n\r\n")
    try:
        return str(data[:end], "utf-8"), data[end + 4 :]
    except ValueError:
        raise BadRequest(400) from None


async def _read_body(reader: asyncio.StreamReader, rest: bytes, fields: dict) -> bytes:
    length = fields.get("content-length", "")
    if not is_digits(length) or len(length) > 6:
        raise BadRequest(411)
    size = int(length)
    if size > MAX_BODY:
        raise BadRequest(413)
    return rest[:size] + await reader.readexactly(max(0, size - len(rest)))


async def _close(writer: asyncio.StreamWriter) -> None:
    try:
        writer.close()
        await writer.wait_closed()
    except OSError as error:
        log("visitor_gone", error=str(error))
