-- Ids are UUID text, times ISO 8601 UTC text, money integer minor units.

CREATE TABLE outbox_head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    chain BLOB NOT NULL,
    acked_epoch INTEGER NOT NULL,
    acked_seq INTEGER NOT NULL,
    acked_chain BLOB NOT NULL
) STRICT;
INSERT INTO outbox_head VALUES (1, 1, 0, zeroblob(32), 0, 0, zeroblob(32));

CREATE TABLE outbox (
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    line BLOB NOT NULL,
    chain BLOB NOT NULL,
    PRIMARY KEY (epoch, seq)
) STRICT;

CREATE TABLE telemetry (
    minute INTEGER NOT NULL,
    subject TEXT NOT NULL,
    line BLOB NOT NULL,
    UNIQUE (minute, subject)
) STRICT;

CREATE TABLE sync_cursor (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    cursor INTEGER
) STRICT;
INSERT INTO sync_cursor VALUES (1, NULL);

CREATE TABLE machines (
    machine_id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    name TEXT NOT NULL,
    rail TEXT NOT NULL,
    currency TEXT NOT NULL,
    in_service INTEGER NOT NULL,
    planogram_version INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE products (
    product_id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    name TEXT NOT NULL
) STRICT;

CREATE TABLE planograms (
    machine_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    effective_at TEXT NOT NULL,
    PRIMARY KEY (machine_id, version)
) STRICT;

CREATE TABLE planogram_slots (
    machine_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    slot TEXT NOT NULL,
    product_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    price_minor INTEGER NOT NULL CHECK (price_minor >= 0),
    capacity INTEGER NOT NULL,
    par_level INTEGER NOT NULL,
    PRIMARY KEY (machine_id, version, slot),
    FOREIGN KEY (machine_id, version) REFERENCES planograms (machine_id, version)
) STRICT;

-- A slot's stock is the sum of its movements, kept beside them by the same transaction.
CREATE TABLE stock (
    machine_id TEXT NOT NULL,
    slot TEXT NOT NULL,
    on_hand INTEGER NOT NULL DEFAULT 0,
    reserved INTEGER NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    suspect INTEGER NOT NULL DEFAULT 0,
    sensed_empty INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (machine_id, slot)
) STRICT;

CREATE TABLE stock_movements (
    movement_id TEXT PRIMARY KEY,
    machine_id TEXT NOT NULL,
    slot TEXT NOT NULL,
    delta INTEGER NOT NULL,
    reason TEXT NOT NULL,
    vend_id TEXT
) STRICT;
CREATE INDEX stock_movements_slot ON stock_movements (machine_id, slot);
CREATE UNIQUE INDEX stock_movements_vend ON stock_movements (vend_id) WHERE vend_id IS NOT NULL;

CREATE TABLE devices (
    device_id TEXT PRIMARY KEY,
    machine_id TEXT NOT NULL,
    name TEXT NOT NULL,
    claim_code_sha256 TEXT NOT NULL,
    claim_expires_at TEXT NOT NULL,
    token_sha256 TEXT,
    command_key BLOB,
    used_code_sha256 TEXT,
    epoch INTEGER NOT NULL DEFAULT 1,
    seq INTEGER NOT NULL DEFAULT 0,
    seen_epoch INTEGER NOT NULL DEFAULT 0,
    seen_seq INTEGER NOT NULL DEFAULT 0,
    online INTEGER NOT NULL DEFAULT 0,
    firmware TEXT
) STRICT;

-- One command to move metal, from G3 until its outcome is committed.
CREATE TABLE dispenses (
    vend_id TEXT PRIMARY KEY,
    machine_id TEXT NOT NULL,
    device_id TEXT NOT NULL REFERENCES devices (device_id),
    slot TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('requested', 'cancelling', 'ended')),
    -- A moment on the monotonic clock, comparable only within the same boot of the machine.
    requested_boot TEXT NOT NULL,
    requested_ms INTEGER NOT NULL,
    drop_seen INTEGER NOT NULL DEFAULT 0,
    outcome TEXT CHECK ((outcome IS NULL) = (state != 'ended')),
    UNIQUE (device_id, epoch, seq)
) STRICT;
CREATE UNIQUE INDEX dispenses_open ON dispenses (device_id) WHERE state != 'ended';

CREATE TABLE orders (
    order_id TEXT PRIMARY KEY,
    idempotency_key TEXT NOT NULL UNIQUE,
    request_sha256 TEXT NOT NULL,
    machine_id TEXT NOT NULL,
    rail TEXT NOT NULL,
    currency TEXT NOT NULL,
    total_minor INTEGER NOT NULL,
    planogram_version INTEGER NOT NULL,
    state TEXT NOT NULL,
    placed_at TEXT NOT NULL,
    -- When the customer last saw something happen; as requested_boot and requested_ms in dispenses.
    window_boot TEXT NOT NULL,
    window_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX orders_open ON orders (machine_id, order_id) WHERE state IN ('placed', 'authorised', 'dispensing');

CREATE TABLE vends (
    vend_id TEXT PRIMARY KEY,
    order_id TEXT NOT NULL REFERENCES orders (order_id),
    position INTEGER NOT NULL,
    machine_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    slot TEXT NOT NULL,
    product_id TEXT NOT NULL,
    product_name TEXT NOT NULL,
    price_minor INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'requested', 'done')),
    outcome TEXT CHECK ((outcome IS NULL) = (state != 'done')),
    unpaid_drop INTEGER NOT NULL DEFAULT 0,
    UNIQUE (order_id, position)
) STRICT;
CREATE INDEX vends_waiting ON vends (device_id, order_id, position) WHERE state = 'waiting';

CREATE TABLE payments (
    payment_id TEXT PRIMARY KEY,
    order_id TEXT NOT NULL UNIQUE REFERENCES orders (order_id),
    machine_id TEXT NOT NULL,
    rail TEXT NOT NULL,
    currency TEXT NOT NULL,
    amount_minor INTEGER NOT NULL,
    captured_minor INTEGER NOT NULL DEFAULT 0,
    given_back_minor INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL CHECK (state IN ('pending', 'authorised', 'settled', 'voided')),
    CHECK (captured_minor + given_back_minor <= amount_minor)
) STRICT;

CREATE TABLE credits (
    credit_id TEXT PRIMARY KEY,
    machine_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    amount_minor INTEGER NOT NULL,
    currency TEXT NOT NULL
) STRICT;

-- Cash inserted and not yet spent: inserted + given back − authorised.
CREATE TABLE credit_balances (
    machine_id TEXT PRIMARY KEY,
    amount_minor INTEGER NOT NULL CHECK (amount_minor >= 0)
) STRICT;
