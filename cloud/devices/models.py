"""Devices and their newest health sample."""

from tortoise import fields
from tortoise.models import Model


class Device(Model):
    """One ESP32 in a machine. Its gateway checks the claim code; the cloud keeps the code's SHA-256."""

    id = fields.UUIDField(primary_key=True)
    tenant_id = fields.UUIDField()
    machine_id = fields.UUIDField()
    name = fields.TextField()
    wiring = fields.TextField(null=True)
    claim_code_sha256 = fields.TextField()
    claim_issued_at = fields.DatetimeField()
    claim_expires_at = fields.DatetimeField()
    claim_carried = fields.BooleanField(default=False)
    claimed_at = fields.DatetimeField(null=True)
    online = fields.BooleanField(default=False)
    link_changed_at = fields.DatetimeField(null=True)
    link_reason = fields.TextField(default="")
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "devices"


class DeviceHealth(Model):
    """The newest heartbeat that reached us."""

    device_id = fields.UUIDField(primary_key=True)
    tenant_id = fields.UUIDField()
    at = fields.DatetimeField()
    firmware = fields.TextField(null=True)
    uptime_s = fields.BigIntField()
    free_bytes = fields.BigIntField(null=True)
    rssi_dbm = fields.IntField(null=True)
    journal_bytes = fields.BigIntField(null=True)
    reset_cause = fields.TextField(null=True)
    journal_limit_bytes = fields.BigIntField(null=True)
    centi_celsius = fields.TextField(default="{}")
    door_open = fields.BooleanField(null=True)
    peak_ma = fields.TextField(default="{}")
    clock = fields.TextField(default="unsynced")
    received_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "device_health"
