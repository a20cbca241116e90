"""Signatures by Ed25519 (RFC 8032), verified only. Nothing here is secret, so nothing takes care to take equal time."""

from .borrowed import borrow, give_back

PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = 0x52036CEE2B6FFE738CC740797779E89800700A4D4141D8AB75EB4DCA135978A3
ROOT_OF_MINUS_1 = 0x2B8324804FC1DF0B2B4D00993DFBD7A72F431806AD2FE478C4EE1B274A0EA0B0
BASE = (
    0x216936D3CD6E53FEC0A4E231FDD6DC5C692CC7609525A7B2C9562D608F25D51A,
    0x6666666666666666666666666666666666666666666666666666666666666658,
)
WINDOW = 2
"""Bits of each scalar that one addition takes; the table of the sums then holds 16 points, some 4 kB."""


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the key's owner has signed the message. Blocks an ESP32 for seconds."""
    verdict = None
    for found in verifying(public_key, message, signature):
        verdict = found
    return bool(verdict)


def verifying(public_key: bytes, message: bytes, signature: bytes):
    """The same in steps that block an ESP32 for a fraction of a second: yields None after each, the verdict at last.

    Strict: R = SB - kA exactly (no cofactor), S below the group's order, R and A in their only form, A not of the few
    points of small order, which sign anything.
    """
    key = _point(public_key) if len(public_key) == 32 else None
    s = int.from_bytes(signature[32:], "little")
    if key is None or len(signature) != 64 or s >= ORDER or _is_small(key):
        yield False
        return
    yield None
    k = 0
    for digest in _digest((signature[:32], public_key, message)):
        if digest is not None:
            k = int.from_bytes(digest, "little") % ORDER
        yield None
    table = _sums(_extended(*BASE), _extended(PRIME - key[0], key[1]))
    total = (0, 1, 1, 0)
    for shift in range(252, -1, -WINDOW):
        for _ in range(WINDOW):
            total = _doubled(total)
        place = (s >> shift & 3) << WINDOW | k >> shift & 3
        if place:
            total = _added(total, table[place])
        yield None
    yield _encoded(total) == signature[:32]


def _digest(parts: "tuple[bytes, ...]"):
    """Of sha512.py, given back at once: whoever verifies in steps may never come to the last one."""
    steps = borrow("sha512").digest(parts)
    give_back("sha512")
    return steps


def _point(data: bytes) -> "tuple | None":
    """The affine point of these 32 bytes; None if they are no point, or not its only form."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= PRIME:
        return None
    u, v = y * y - 1, D * y * y + 1
    x = u * v**3 * pow(u * v**7 % PRIME, (PRIME - 5) // 8, PRIME) % PRIME
    if (v * x * x + u) % PRIME == 0:
        x = x * ROOT_OF_MINUS_1 % PRIME
    if (v * x * x - u) % PRIME or (x == 0 and sign):
        return None
    return (x if x & 1 == sign else PRIME - x, y)


def _encoded(point: tuple) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, PRIME - 2, PRIME)
    return (y * inverse % PRIME | (x * inverse % PRIME & 1) << 255).to_bytes(32, "little")


def _is_small(affine: tuple) -> bool:
    """Whether 8 times the point is the neutral one."""
    point = _extended(affine[0], affine[1])
    for _ in range(3):
        point = _doubled(point)
    return point[0] == 0


def _sums(base: tuple, other: tuple) -> list:
    """Place 4i + j: i times `base` and j times `other`, prepared for `_added`; nothing at 0."""
    table: list = [None]
    row = (0, 1, 1, 0)
    for i in range(1 << WINDOW):
        point = row
        for j in range(1 << WINDOW):
            if i or j:
                table.append(_prepared(point))
            point = _added(point, _prepared(other))
        row = _added(row, _prepared(base))
    return table


def _extended(x: int, y: int) -> tuple:
    """X, Y, Z, T with x = X/Z, y = Y/Z, xy = T/Z (Hisil, Wong, Carter, Dawson 2008)."""
    return (x, y, 1, x * y % PRIME)


def _prepared(point: tuple) -> tuple:
    x, y, z, t = point
    return (y - x, y + x, 2 * D * t % PRIME, 2 * z)


def _added(point: tuple, prepared: tuple) -> tuple:
    """Their section 3.1 with k = 2d: right for every two points of the curve."""
    x, y, z, t = point
    a, b = (y - x) * prepared[0] % PRIME, (y + x) * prepared[1] % PRIME
    c, d = t * prepared[2] % PRIME, z * prepared[3] % PRIME
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME)


def _doubled(point: tuple) -> tuple:
    """Their section 3.3."""
    x, y, z, _ = point
    a, b = x * x % PRIME, y * y % PRIME
    h = a + b
    e, g = h - (x + y) ** 2 % PRIME, a - b
    f = 2 * z * z % PRIME + g
    return (e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME)
