"""Each code of a problem: with which status it comes, what it means, what to do about it."""

from dataclasses import dataclass

from shared.errors import Code


@dataclass(frozen=True)
class Explanation:
    """What a person who met the code wants to know."""

    status: int
    meaning: str
    remedy: str


PROBLEMS: dict[Code, Explanation] = {
    Code.VALIDATION_FAILED: Explanation(
        422,
        "The request can be read, but some of its fields, parameters or headers are wrong.",
        "Look at `errors`: each names a field by its path, such as `lines.0.quantity`, and what is wrong with it."
        " Sending the same again will not help.",
    ),
    Code.MALFORMED_BODY: Explanation(
        400,
        "The body is not what its media type says: no JSON, no batch, or wrongly compressed.",
        "Check how the body is written. The sentence in `detail` says where reading it ended.",
    ),
    Code.UNKNOWN_VERSION: Explanation(
        422,
        "The message has a version, `v`, that is not spoken here.",
        "Bring the sender up to date, or send an older version of the message.",
    ),
    Code.TOO_LARGE: Explanation(413, "The body is larger than is accepted here.", "Send less at once."),
    Code.TIMEOUT: Explanation(
        408,
        "The body did not come in time. Nothing was done.",
        "Send it again over a better line, or send less at once.",
    ),
    Code.DEADLINE_PASSED: Explanation(
        504,
        "The work took longer than a request may. It may have happened all the same.",
        "Repeat it with the same `Idempotency-Key`, if it has one; else read what there is before you send it again."
        " Ask for less at once.",
    ),
    Code.NOT_FOUND: Explanation(
        404,
        "There is nothing here, or it belongs to somebody else: nobody learns which.",
        "Check the path and the id, and that you act for the right tenant and the right sites.",
    ),
    Code.METHOD_NOT_ALLOWED: Explanation(
        405, "The path is right, the method is not.", "The header `Allow` names the methods that are."
    ),
    Code.UNSUPPORTED_MEDIA_TYPE: Explanation(
        415,
        "The body is of another media type than is read here.",
        "Send `Content-Type: application/json`, or what the operation asks for.",
    ),
    Code.RANGE_NOT_SATISFIABLE: Explanation(
        416, "The file does not reach to where you want it from.", "Ask for `Range: bytes=N-` within its size."
    ),
    Code.PRECONDITION_FAILED: Explanation(
        412,
        "What you are about to change is no longer what you have seen: its ETag is not the one in `If-Match`.",
        "Read it again, look at what has changed, and send your change with the new ETag.",
    ),
    Code.IDEMPOTENCY_KEY_MISSING: Explanation(
        400,
        "This request creates something or moves money, and says not by which key it is known when it comes twice.",
        "Send `Idempotency-Key` with a fresh UUID, and the same UUID again whenever you repeat the request.",
    ),
    Code.IDEMPOTENCY_KEY_REUSED: Explanation(
        422,
        "This key has been used for a request with another content.",
        "Make a fresh UUID for each new request; keep it only for repeating that very one.",
    ),
    Code.TOO_MANY_REQUESTS: Explanation(
        429,
        "More requests came than are granted.",
        "Wait for the seconds in `Retry-After`, then go on more slowly.",
    ),
    Code.INTERNAL: Explanation(
        500,
        "Something went wrong on our side. Nothing was changed.",
        "Try again later. If it stays, tell us the `request_id`.",
    ),
    Code.UNAVAILABLE: Explanation(
        503,
        "This cannot be answered right now: the database is away or busy.",
        "Repeat the same request after the seconds in `Retry-After`, with the same `Idempotency-Key` if it has one.",
    ),
    Code.UNKNOWN_MACHINE: Explanation(404, "The gateway has no such machine.", "Choose one of its machines."),
    Code.UNKNOWN_SLOT: Explanation(422, "The machine has no such slot.", "Choose a slot of its planogram in force."),
    Code.UNKNOWN_ORDER: Explanation(404, "The gateway has no such order.", "Check the id; orders live at one site."),
    Code.SOLD_OUT: Explanation(409, "There is not enough left in the slot.", "Choose something else, or fewer."),
    Code.SLOT_SUSPECT: Explanation(
        409,
        "Nobody can tell what the last vend did in this slot; it sells nothing until a person has looked.",
        "Look into the machine, then count or restock the slot.",
    ),
    Code.SLOT_LOCKED: Explanation(
        409,
        "What lies in this slot was too warm for too long.",
        "Check the goods, then release the zone.",
    ),
    Code.PRICE_CHANGED: Explanation(
        409, "The price is no longer the one that was shown.", "Show the new price and let the customer decide."
    ),
    Code.MACHINE_OFFLINE: Explanation(422, "The machine does not answer its gateway.", "Check its power and its link."),
    Code.OUT_OF_SERVICE: Explanation(409, "The machine was taken out of service.", "Put it in service again."),
    Code.STORAGE_FULL: Explanation(
        503,
        "The gateway has no room to keep a sale, so it sells nothing.",
        "Let it sync; if that does not help, look at its disk.",
    ),
    Code.UNAUTHENTICATED: Explanation(
        401,
        "We do not know who asks: the key, token or session is missing, wrong, expired or revoked.",
        "Send `Authorization: Bearer` with a valid key, or sign in again.",
    ),
    Code.FORBIDDEN: Explanation(
        403,
        "We know who asks, and they may not do this.",
        "Ask an owner or admin for the permission that `detail` names.",
    ),
    Code.SECOND_FACTOR_REQUIRED: Explanation(
        403,
        "This needs the second factor, and it was not shown, or too long ago.",
        "Show the code of your authenticator app at `/login/code`, then send it again.",
    ),
    Code.SECOND_FACTOR_MISSING: Explanation(
        403,
        "Your role needs a second factor, and you have none.",
        "Set up an authenticator app for your account first.",
    ),
    Code.LINK_EXPIRED: Explanation(
        409, "The link was used, withdrawn or replaced, or is too old.", "Ask for a new one."
    ),
    Code.CONFLICT: Explanation(
        409,
        "This does not go together with what is there: the last owner, a member already, two keys of a name.",
        "Read `detail`, look at what is there, and change that first.",
    ),
    Code.QUOTA_EXCEEDED: Explanation(
        409,
        "Your business would keep more than it may.",
        "Remove what you no longer need: its room is free an hour later. Or ask whoever runs this cloud for more.",
    ),
    Code.GATEWAY_REVOKED: Explanation(
        401,
        "This gateway was revoked by an operator.",
        "Issue a new claim code and claim the gateway again, if it is meant to come back.",
    ),
    Code.CLAIM_CODE_UNKNOWN: Explanation(403, "There is no such claim code.", "Check it for typing errors."),
    Code.CLAIM_CODE_USED: Explanation(
        403, "The claim code was used by another gateway.", "Issue a new one for this gateway."
    ),
    Code.CLAIM_CODE_EXPIRED: Explanation(
        403, "The claim code is older than a day.", "Issue a new one and use it within a day."
    ),
    Code.SETTINGS_KEY_MISSING: Explanation(
        409,
        "This cloud has no key to sign settings with.",
        "Set `LARDER_CLOUD_SETTINGS_KEY_FILE` and start it again.",
    ),
    Code.FACT_CONFLICT: Explanation(
        409,
        "The gateway tells another history than the one it told before.",
        "Do not delete anything: an operator has to look at both. The conflict is kept.",
    ),
    Code.EPOCH_SUPERSEDED: Explanation(
        409, "The gateway's ledger was restored since; this is its old one.", "Let the restored ledger go on."
    ),
    Code.CHAIN_BROKEN: Explanation(
        409,
        "The batch does not continue what the gateway has told before.",
        "The gateway goes on from the position that the cloud acknowledges.",
    ),
}
