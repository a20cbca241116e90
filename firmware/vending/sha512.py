"""SHA-512 (FIPS 180-4), which the ESP32's hashlib lacks."""

MASK = 2**64 - 1
BLOCK_BYTES = 128


def digest(parts: "tuple[bytes, ...]"):
    """Of what these parts are together. Yields None after each block, and the digest's 64 bytes in the end."""
    primes = _primes(80)
    constants = [_root(prime << 192, 3) & MASK for prime in primes]
    state = [_root(prime << 128, 2) & MASK for prime in primes[:8]]
    bits = 8 * sum([len(part) for part in parts])
    whole = list(parts)
    whole.append(b"\x80" + bytes(-(bits // 8 + 17) % BLOCK_BYTES) + bits.to_bytes(16, "big"))
    for block in _blocks(whole):
        state = _mixed(state, block, constants)
        yield None
    yield b"".join([word.to_bytes(8, "big") for word in state])


def _blocks(parts: list):
    """A long part is never copied as a whole."""
    rest = b""
    for part in parts:
        place = 0
        while len(rest) + len(part) - place >= BLOCK_BYTES:
            end = place + BLOCK_BYTES - len(rest)
            yield rest + part[place:end]
            rest, place = b"", end
        rest += part[place:]


def _mixed(state: list, block: bytes, constants: list) -> list:
    # A word beside a copy of itself turns by any number of bits in one shift.
    words = [int.from_bytes(block[place : place + 8], "big") for place in range(0, BLOCK_BYTES, 8)]
    a, b, c, d, e, f, g, h = state
    for place in range(80):
        word = words[place % 16]
        twice = e << 64 | e
        chosen = h + ((twice >> 14 ^ twice >> 18 ^ twice >> 41) & MASK) + (g ^ e & (f ^ g)) + constants[place] + word
        twice = a << 64 | a
        mixed = ((twice >> 28 ^ twice >> 34 ^ twice >> 39) & MASK) + (a & b | c & (a | b))
        a, b, c, d, e, f, g, h = (chosen + mixed) & MASK, a, b, c, (d + chosen) & MASK, e, f, g
        near, far = words[(place + 1) % 16], words[(place + 14) % 16]
        twice = near << 64 | near
        word += (twice >> 1 ^ twice >> 8) & MASK ^ near >> 7
        twice = far << 64 | far
        words[place % 16] = word + words[(place + 9) % 16] + ((twice >> 19 ^ twice >> 61) & MASK ^ far >> 6) & MASK
    mixed_in = (a, b, c, d, e, f, g, h)
    return [state[place] + mixed_in[place] & MASK for place in range(8)]


def _primes(count: int) -> list:
    found: list = []
    number = 2
    while len(found) < count:
        if all(number % prime for prime in found):
            found.append(number)
        number += 1
    return found


def _root(number: int, degree: int) -> int:
    """The largest whole number whose power of this degree is not above `number`, by Newton's method from above."""
    root = 1 << 72
    while True:
        nearer = ((degree - 1) * root + number // root ** (degree - 1)) // degree
        if nearer >= root:
            return root
        root = nearer
