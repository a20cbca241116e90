"""/v1/catalog/products/{id}/picture."""

from uuid import UUID

from quart import Blueprint, Response, request

from cloud.bounded_app import deadline
from cloud.conditional import is_known
from cloud.errors import NotFound, Refused
from cloud.operations import Raw, current_operator, operation
from cloud.permissions import Permission
from cloud.pictures.models import PictureQuery, PictureRow
from cloud.pictures.rules import MEDIA_TYPES, announced_digest
from cloud.pictures.service import Pictures, Sent
from cloud.web import answer, body_chunks, invalid
from shared.errors import Code

BODY_SECONDS = 180.0
"""For 20 MB over a phone's line."""
UPLOAD_SECONDS = BODY_SECONDS + 90.0
"""Also for a place at the encoder, and its work."""
PICTURE = Raw("A picture of one frame: JPEG, PNG or WebP.", MEDIA_TYPES)
SIZE = Raw("The picture in this size, as WebP.", ("image/webp",))
FOR_EVER = "private, max-age=31536000, immutable"
ASK_AGAIN = "private, no-cache"


class PictureRoutes:
    """What the products look like."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures

    def blueprint(self) -> Blueprint:
        """All routes."""
        routes = Blueprint("pictures", __name__)
        path = "/catalog/products/<uuid:product_id>/picture"
        routes.add_url_rule(path, view_func=self.put_picture, methods=["PUT"])
        routes.add_url_rule(path, view_func=self.show_picture, methods=["GET"])
        routes.add_url_rule(path, view_func=self.remove_picture, methods=["DELETE"])
        routes.add_url_rule(f"{path}/description", view_func=self.describe_picture, methods=["GET"])
        return routes

    @operation(
        Permission.CATALOG_WRITE,
        summary="Put the picture of a product",
        answers={201: PictureRow, 200: PictureRow},
        takes=PICTURE,
        problems=(Code.QUOTA_EXCEEDED,),
        digested=True,
    )
    @deadline(UPLOAD_SECONDS)
    async def put_picture(self, product_id: UUID) -> Response:
        """The bytes of the picture, with or without a Content-Length. 200 if there was one before.

        It is made anew, upright and without its metadata, in several sizes; what was sent is not kept. What the bytes
        are counts, and `Content-Type` must say the same. Twice the same changes nothing.
        """
        if request.mimetype not in MEDIA_TYPES:
            raise Refused(Code.UNSUPPORTED_MEDIA_TYPE, f"Send one of {', '.join(MEDIA_TYPES)}.", status=415)
        try:
            digest = announced_digest(request.headers.get("Content-Digest", ""))
        except ValueError as error:
            raise invalid("Content-Digest", str(error)) from None
        most = self._pictures.limits.picture_bytes
        size = most if request.content_length is None else request.content_length
        if size > most:
            raise Refused(Code.TOO_LARGE, f"At most {most} bytes are accepted here.", status=413)
        sent = Sent(request.mimetype, digest, max(1, size))
        made, is_new = await self._pictures.put(current_operator(), product_id, sent, body_chunks(most, BODY_SECONDS))
        return answer(made, 201 if is_new else 200)

    @operation(Permission.CATALOG_READ, summary="Show the picture of a product", answers={200: SIZE}, conditional=True)
    async def show_picture(self, product_id: UUID, query: PictureQuery) -> Response:
        """In one size. At the `url` of a description it stays what it is for ever; 404 when the product has another."""
        operator = current_operator()
        name = await self._pictures.name_of(operator, product_id, query.size)
        if query.sha256 not in (None, name):
            raise NotFound
        headers = {"ETag": f'"{name}"', "Cache-Control": ASK_AGAIN if query.sha256 is None else FOR_EVER}
        if is_known(name):
            return Response(b"", status=304, headers=headers)
        return Response(await self._pictures.content(operator, name), mimetype="image/webp", headers=headers)

    @operation(
        Permission.CATALOG_READ,
        summary="Describe the picture of a product",
        answers={200: PictureRow},
        conditional=True,
    )
    async def describe_picture(self, product_id: UUID) -> Response:
        """What was sent, and where each size of it is."""
        return answer(await self._pictures.describe(current_operator(), product_id))

    @operation(Permission.CATALOG_WRITE, summary="Remove the picture of a product", answers={204: None})
    async def remove_picture(self, product_id: UUID) -> Response:
        """The product has no picture any more. Its files go an hour later."""
        await self._pictures.remove(current_operator(), product_id)
        return Response(status=204)
