"""By which names a Python program reaches the operations of the document. Pure."""

import keyword
import re

_PREPOSITIONS = ("of", "to", "for")


def group_of(path: str) -> str:
    """The attribute of the client: `/v1/api-keys/{key_id}` → `api_keys`."""
    return next(step for step in path.split("/") if step not in ("", "v1")).replace("-", "_")


def method_of(path: str, operation_id: str) -> str:
    """The method of the group, which need not name again what the group is called: `list_orders` → `list`."""
    group, words = group_of(path).split("_"), operation_id.split("_")
    for noun in (group, [*group[:-1], group[-1].removesuffix("s")]):
        for at in range(1, len(words) - len(noun) + 1):
            if words[at : at + len(noun)] == noun:
                return "_".join(_without(words, at, at + len(noun)))
    return operation_id


def argument_of(name: str) -> str:
    """As Python can write it: `from` → `from_`."""
    plain = name.replace("-", "_").lower()
    return f"{plain}_" if keyword.iskeyword(plain) else plain


def member_of(word: str) -> str:
    """Of an enumeration: `order.placed` → `ORDER_PLACED`, `96` → `OF_96`."""
    plain = re.sub(r"\W", "_", word).upper()
    return plain if plain.isidentifier() else f"OF_{plain}"


def class_of(words: str) -> str:
    """`api_keys` → `ApiKeys`."""
    return "".join(word.capitalize() for word in words.split("_"))


def _without(words: list[str], start: int, end: int) -> list[str]:
    """Less the words from start to end, and the preposition that led to them or leads on."""
    if words[start - 1] in _PREPOSITIONS:
        start -= 1
    elif end < len(words) and words[end] in _PREPOSITIONS:
        end += 1
    return words[:start] + words[end:]
