"""What the prototype would have written: made up from a seed, no customer's. Three generations of orders, inventories
with their dirt, pictures."""

import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

Record = dict[str, Any]
BEGIN = datetime(2024, 3, 1, 6, tzinfo=UTC)
GOODS = (("Salted Peanuts", 20), ("Masala Chips", 25), ("Mango Drink", 30), ("Dark Chocolate", 60), ("Water", 15))
PEOPLE = ("Test Person One", "Test Person Two", "Test Person Three", None, None)


def iso(at: datetime) -> str:
    """As JavaScript writes it."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"


class Prototype:
    """One machine's orders, one after the other."""

    def __init__(self, machine: str = "VM-001", seed: int = 1, begin: datetime = BEGIN) -> None:
        self.machine = machine
        self.at = begin
        self._chance = random.Random(f"{machine} {seed}")
        self._number = 0

    def order(self, generation: int = 1, status: str = "paid", **more: Any) -> Record:
        """One of G1, G2 or G3, in the field order of its time; `more` is laid over it."""
        chance = self._chance
        self.at += timedelta(seconds=chance.randrange(30, 900), milliseconds=chance.randrange(1000))
        self._number += 1
        items = [bought(n, chance.randrange(1, 3)) for n in chance.sample(range(len(GOODS)), chance.randrange(1, 4))]
        total = sum(item["price"] * item["quantity"] for item in items)
        name = chance.choice(PEOPLE)
        phone = None if name is None else f"+9198{chance.randrange(10**8):08}"
        if generation == 3:
            return self._export(items, total, status, name, phone) | more
        return self._lowdb(generation, items, total, status, name, phone) | more

    def _lowdb(
        self, generation: int, items: list[Record], total: int, status: str, name: str | None, phone: str | None
    ) -> Record:
        made: Record = {"orderId": f"BB{int(self.at.timestamp() * 1000)}"}
        made |= {"tenantId": self.machine} if generation == 2 else {}
        made |= {"items": items, "totalAmount": total, "paymentStatus": status, "customerName": name}
        made |= {"customerPhone": phone, "createdAt": iso(self.at), "updatedAt": iso(self.at + timedelta(seconds=40))}
        if status != "paid":
            return made
        paid_at = self.at + timedelta(seconds=35)
        vpa = f"tester{self._number % 50}@testbank"
        info: Record = {"payer_account_type": "bank_account", "vpa": vpa, "paymentId": f"pay_{self._number:014}"}
        info |= {
            "paymentMethod": "upi",
            "paymentAmount": total * 100,
            "paymentCurrency": "INR",
            "paymentStatus": "captured",
        }
        info["paymentCreatedAt"] = int(paid_at.timestamp()) if generation == 1 else iso(paid_at)
        info |= {"upiTransactionId": None, "bankCode": None, "bankName": None}
        return made | {"vpa": vpa, "payer_account_type": "bank_account", "paymentInfo": info}

    def _export(self, items: list[Record], total: int, status: str, name: str | None, phone: str | None) -> Record:
        made: Record = {"order_id": self._number, "order_number": f"BB{int(self.at.timestamp() * 1000)}"}
        made |= {"machine_id": self.machine, "items": items, "total_amount": f"{total}.00", "payment_status": status}
        made |= {"customer_name": name, "customer_phone": phone, "created_at": iso(self.at), "updated_at": iso(self.at)}
        if status == "paid":
            details = {"paymentId": f"pay_{self._number:014}", "vpa": f"tester{self._number % 50}@testbank"}
            made |= {"payment_details": details, "payment_amount": total, "qr_code_id": f"qr_{self._number}"}
            made["upi_transaction_id"] = f"{self._number:012}"
        return made

    def orders(self, count: int) -> list[Record]:
        """Of the first two generations, most of them paid."""
        kinds = ("paid", "paid", "paid", "paid", "pending", "cancelled")
        return [self.order(1 + (n * 2 // max(1, count)), self._chance.choice(kinds)) for n in range(count)]


def bought(number: int, quantity: int) -> Record:
    """A line of an order."""
    name, price = GOODS[number]
    image = f"/product_img/{number}.png"
    return {"id": str(number), "name": name, "price": price, "quantity": quantity, "image": image}


def item(number: int, **more: Any) -> Record:
    """An item of an inventory; `more` is laid over it."""
    name, price = GOODS[number]
    made: Record = {"id": str(number), "name": name, "price": price, "quantity": 3 + number, "category": "Snacks"}
    made["slot"] = f"{'ABCDEFG'[number // 3]}{1 + number % 3}"
    image = f"/VM-001/Inventory/product_images/{number}.png"
    return made | {"image": image, "description": ""} | more


def inventory() -> list[Record]:
    """A clean one."""
    return [item(number) for number in range(len(GOODS))]


def text(key: str, records: Sequence[Record]) -> str:
    """A file as lowdb writes it."""
    return json.dumps({key: records}, indent=2, ensure_ascii=False)


def write(root: Path, machine: str, orders: str | None = None, stock: str | None = None) -> Path:
    """The folder of a machine with these files."""
    folder = root / machine
    for name, content in (("Orders/orders.db", orders), ("Inventory/inventory.db", stock)):
        if content is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content)
    return folder


def picture_file(root: Path, machine: str, name: str, content: bytes) -> None:
    """A picture in the machine's folder."""
    folder = root / machine / "Inventory" / "product_images"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
