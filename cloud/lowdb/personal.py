"""What of an order's record may say something of a person. Pure."""

from collections.abc import Set

from cloud.lowdb.mapping import OrderFields

_PERSONAL = {"name", "phone", "upi"}
_OF_ITEMS = ("item_id", "item_name", "item_price_major", "item_price_minor", "item_quantity")


class Impersonal:
    """The fields of a collection's orders that are known to say nothing of a person."""

    def __init__(self, fields: OrderFields) -> None:
        told = fields.model_dump()
        others = told.keys() - _PERSONAL - set(_OF_ITEMS)
        self._paths = frozenset(path for name in others for path in told[name])
        self._ways = frozenset(path[:dot] for path in self._paths for dot in range(len(path)) if path[dot] == ".")
        self._of_items = frozenset(path for name in _OF_ITEMS for path in told[name]) | {"image"}
        self._lists = fields.items

    def alone(self, record: object) -> object:
        """The record with only those fields, in their order."""
        kept = self._only(record, "")
        if isinstance(kept, dict):
            for path in self._lists:
                items = kept.get(path)
                if isinstance(items, list):
                    kept[path] = [_with_keys(item, self._of_items) for item in items]
        return kept

    def is_all(self, record: object) -> bool:
        """Whether nothing in it may say something of a person: there is nothing else, or it holds nothing."""
        return _told(self.alone(record)) == _told(record)

    def _only(self, value: object, before: str) -> object:
        if not isinstance(value, dict):
            return None
        kept = {}
        for key, item in value.items():
            path = f"{before}{key}"
            if path in self._paths:
                kept[key] = item
            elif path in self._ways and isinstance(item, dict):
                kept[key] = self._only(item, f"{path}.")
        return kept


def _with_keys(item: object, keys: Set[str]) -> object:
    return {key: value for key, value in item.items() if key in keys} if isinstance(item, dict) else None


def _told(value: object) -> object:
    """Without what holds nothing: a null says nothing of anybody."""
    if isinstance(value, dict):
        return {key: _told(item) for key, item in value.items() if item is not None}
    return [_told(item) for item in value] if isinstance(value, list) else value
