"""Sends calls by HTTP: within a deadline, again where that does no harm, and no answer twice that is here already."""

import random
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any, TypeVar

import httpx
from pydantic import ValidationError
from pydantic_core import from_json

from .calls import Call, pause_before
from .downloads import Download
from .errors import FieldProblem, LarderError, NoAnswerInTime, Problem, UnexpectedAnswer, Unreachable
from .kept import KeptReplies, Reply
from .model import Answer, Wish
from .paging import Page, Pages

A = TypeVar("A", bound=Answer)
R = TypeVar("R")


class Transport:
    """One server and one key. Threads may share it."""

    def __init__(
        self,
        url: str,
        key: str | None,
        problems: Mapping[str, type[Problem]],
        http: httpx.Client,
        *,
        deadline_s: float,
        stall_s: float,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url.rstrip("/")
        self._key = key
        self._problems = problems
        self._http = http
        self._deadline_s = deadline_s
        self._stall_s = stall_s
        self._sleep = sleep
        self._clock = clock
        self._random = random.SystemRandom()
        self._kept = KeptReplies()

    def close(self) -> None:
        """Ends all connections."""
        self._http.close()

    def send(self, call: Call, answer: type[A]) -> A:
        """What the server answers."""
        content, etag = self._reply(call)
        try:
            return answer.read(content, etag)
        except ValidationError as error:
            raise UnexpectedAnswer(f"{call.path}: {error}") from error

    def perform(self, call: Call) -> None:
        """For what is answered with nothing."""
        self._reply(call)

    def pages(self, call: Call, row: type[A], rows: str) -> Pages[A]:
        """A list; its pages have their rows in the field `rows`."""

        def turn(cursor: str | None) -> Page[A]:
            content, _ = self._reply(replace(call, query={**call.query, "cursor": cursor}))
            try:
                page = from_json(content)
                return Page(tuple(row.model_validate(one) for one in page[rows]), page["next_cursor"])
            except (ValueError, KeyError, TypeError) as error:
                raise UnexpectedAnswer(f"{call.path}: this is no page of {rows}: {error!r}") from error

        first = call.query.get("cursor")
        return Pages(turn, None if first is None else str(first))

    def download(self, call: Call) -> Download:
        """A file. Its beginning must come within the deadline; then each pause ends after `stall_s`."""
        return Download(lambda: self._repeated(call, lambda response, _: response))

    def _reply(self, call: Call) -> tuple[bytes, str | None]:
        """Content and ETag."""
        kept = self._kept.find(call)
        reply = self._repeated(call if kept is None else replace(call, if_none_match=kept.etag), self._whole)
        if kept is not None and reply.content is None:
            reply = kept
        self._kept.keep(call, reply)
        return reply.content or b"", reply.etag

    def _repeated(self, call: Call, take: Callable[[httpx.Response, float], R]) -> R:
        """What `take` makes of the answer. The call is made again as long as that helps and the deadline allows."""
        until, tries = self._clock() + self._deadline_s, 0
        while True:
            tries += 1
            failure: Problem | Unreachable
            try:
                return take(self._opened(call, until), until)
            except Problem as refused:
                failure, pause = refused, pause_before(call, tries, refused)
            except NoAnswerInTime:
                raise
            except Unreachable as broken:
                failure, pause = broken, pause_before(call, tries, None)
            if pause is None:
                raise failure
            pause *= self._random.uniform(1.0, 1.2)  # clients that failed together come back one by one
            if self._clock() + pause >= until:
                raise failure
            self._sleep(pause)

    def _opened(self, call: Call, until: float) -> httpx.Response:
        """The answer up to its body, which the caller closes."""
        try:
            response = self._http.send(self._request(call, until), stream=True)
        except httpx.TransportError as error:
            raise Unreachable(f"{call.method} {call.path}: {error!r}") from error
        if response.is_success or (response.status_code == httpx.codes.NOT_MODIFIED and call.if_none_match):
            return response
        with closing(response):
            raise self._refusal(response, self._read(response, until))

    def _request(self, call: Call, until: float) -> httpx.Request:
        named = {
            "Authorization": f"Bearer {self._key}" if self._key else None,
            "If-Match": call.if_match,
            "If-None-Match": call.if_none_match,
            "Idempotency-Key": str(call.idempotency_key) if call.idempotency_key else None,
        }
        form = dict(call.body) if isinstance(call.body, Mapping) else None
        content = call.body.written() if isinstance(call.body, Wish) else call.body
        if call.body is not None and form is None:
            named["Content-Type"] = call.media_type
        return self._http.build_request(
            call.method,
            self._url + call.path,
            params=call.parameters(),
            content=content if isinstance(content, bytes) else None,
            data=form,
            headers={name: value for name, value in named.items() if value},
            timeout=max(min(self._stall_s, until - self._clock()), 0.001),
        )

    def _whole(self, response: httpx.Response, until: float) -> Reply:
        with closing(response):
            content = self._read(response, until) if response.is_success else None
        return Reply(content, response.headers.get("ETag"))

    def _read(self, response: httpx.Response, until: float) -> bytes:
        """The body. However slowly it comes, the deadline holds."""
        pieces: list[bytes] = []
        try:
            for piece in response.iter_bytes():
                pieces.append(piece)
                if self._clock() >= until:
                    raise NoAnswerInTime(f"there was no whole answer within {self._deadline_s:g} s")
        except httpx.TransportError as error:
            raise Unreachable(f"the answer ended early: {error!r}") from error
        return b"".join(pieces)

    def _refusal(self, response: httpx.Response, text: bytes) -> LarderError:
        after = response.headers.get("Retry-After", "")
        told = _object(text) if "problem+json" in response.headers.get("Content-Type", "") else {}
        code = str(told.get("code", ""))
        return self._problems.get(code, Problem)(
            status=response.status_code,
            code=code,
            detail=str(told.get("detail", response.reason_phrase)),
            request_id=str(told.get("request_id", "")),
            errors=tuple(FieldProblem(str(one["path"]), str(one["message"])) for one in told.get("errors", ())),
            retry_after_s=int(after) if after.isascii() and after.isdigit() else None,
        )


def _object(text: bytes) -> dict[str, Any]:
    try:
        told = from_json(text)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
