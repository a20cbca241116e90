-- What the cloud was told and a restored ledger lacks: the facts above (epoch, seq), of epochs below before_epoch.
CREATE TABLE recall (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    before_epoch INTEGER NOT NULL
) STRICT;

-- An order that was open in the restored backup, or that the cloud told of: nothing moves it until all is recalled.
ALTER TABLE orders ADD COLUMN recalled INTEGER NOT NULL DEFAULT 0;

ALTER TABLE vends ADD COLUMN money_settled INTEGER NOT NULL DEFAULT 0;
UPDATE vends SET money_settled = 1 WHERE state = 'done';

-- A command of before, of which nothing is known but its number: taken up again once all is recalled (released) and
-- its device is free.
CREATE TABLE held_dispenses (
    vend_id TEXT PRIMARY KEY,
    machine_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    slot TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    drop_seen INTEGER NOT NULL DEFAULT 0,
    released INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Below zero in the midst of a recall: what the restored ledger took for credit may have been spent before.
CREATE TABLE any_balances (
    machine_id TEXT PRIMARY KEY,
    amount_minor INTEGER NOT NULL
) STRICT;
INSERT INTO any_balances SELECT machine_id, amount_minor FROM credit_balances;
DROP TABLE credit_balances;
ALTER TABLE any_balances RENAME TO credit_balances;
