"""A fleet that has sold for a year, put straight into the tables: set by set, past foreign keys, walls and the disk."""

import asyncpg

from cloud.clock import Clock

MONTHS = 12
TENANTS = 6
"""The first has half of the fleet, each other half of what is left."""

_IDS = """
    CREATE FUNCTION pg_temp.id_at(at timestamptz, salt text) RETURNS uuid LANGUAGE sql IMMUTABLE
    RETURN (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || substr(md5(salt), 1, 3) || '8'
        || substr(md5(salt), 4, 15))::uuid
"""
_FLEET = """
    CREATE TEMP TABLE fleet AS
    SELECT n, pg_temp.id_at('2025-01-01', 'tenant' || tenant) AS tenant_id,
           pg_temp.id_at('2025-01-01', 'site' || n / 5 || '-' || tenant) AS site_id,
           pg_temp.id_at('2025-01-01', 'gateway' || n / 5 || '-' || tenant) AS gateway_id,
           pg_temp.id_at('2025-01-01', 'machine' || n) AS machine_id,
           pg_temp.id_at('2025-01-01', 'device' || n) AS device_id
    FROM (SELECT n, least($2 - 1, floor(log(2, $1 / ($1 - n + 0.5))))::integer AS tenant
          FROM generate_series(0, $1::integer - 1) AS n) AS numbered;
"""
_PARTS = (
    "INSERT INTO tenants (tenant_id, name) SELECT DISTINCT tenant_id, 'T' FROM fleet",
    "INSERT INTO audit_chains (tenant_id) SELECT DISTINCT tenant_id FROM fleet",
    "INSERT INTO sites (tenant_id, id, name, currency) SELECT DISTINCT tenant_id, site_id, 'S', 'INR' FROM fleet",
    """
    INSERT INTO gateways (tenant_id, id, site_id, name) SELECT DISTINCT tenant_id, gateway_id, site_id, 'G' FROM fleet
    """,
    """
    INSERT INTO machines (tenant_id, id, site_id, name, rail)
    SELECT tenant_id, machine_id, site_id, 'M' || n, 'cash' FROM fleet
    """,
    """
    INSERT INTO devices (tenant_id, id, machine_id, name, claim_issued_at, claim_code_sha256, claim_expires_at)
    SELECT tenant_id, device_id, machine_id, 'D', now(), repeat('0', 64), now() FROM fleet
    """,
    """
    INSERT INTO products (tenant_id, id, name)
    SELECT tenant_id, pg_temp.id_at('2025-01-01', tenant_id || 'product' || n), 'Product ' || n
    FROM (SELECT DISTINCT tenant_id FROM fleet) AS t, generate_series(1, 20) AS n
    """,
    """
    CREATE TEMP TABLE sold AS
    SELECT place, at, f.*, pg_temp.id_at(at, 'order' || place) AS order_id,
           pg_temp.id_at('2025-01-01', f.tenant_id || 'product' || 1 + place % 20) AS product_id
    FROM (SELECT place, now() - random() * $2::interval AS at, floor(random() * $3::integer)::integer AS machine
          FROM generate_series(1, $1::integer) AS place) AS o JOIN fleet f ON f.n = o.machine
    ORDER BY at -- as orders come in
    """,
    """
    INSERT INTO orders (tenant_id, id, machine_id, rail, currency, total_minor, planogram_version, state,
                        captured_minor, placed_at, ended_at, received_at)
    SELECT tenant_id, order_id, machine_id, 'cash', 'INR', 5000, 1, 'settled', 5000, at, at, at FROM sold
    """,
    """
    INSERT INTO vends (tenant_id, id, order_id, state, device_id, outcome, evidence, requested_at, resolved_at,
                       position, slot, product_id, product_name, price_minor)
    SELECT tenant_id, pg_temp.id_at(at, position || 'vend' || place), order_id, 'done', device_id, 'dispensed',
           '{"drop": true}', at, at, position, 'A1', product_id, 'Product', 2500
    FROM sold, generate_series(1, 2) AS position WHERE position = 1 OR place % 4 = 0
    """,
    """
    INSERT INTO payments (tenant_id, id, order_id, rail, currency, amount_minor, state, captured_minor, attempted_at)
    SELECT tenant_id, pg_temp.id_at(at, 'payment' || place), order_id, 'cash', 'INR', 5000, 'settled', 5000, at
    FROM sold
    """,
    """
    INSERT INTO stock_movements (tenant_id, id, machine_id, slot, delta, reason, vend_id, at)
    SELECT tenant_id, pg_temp.id_at(at, 'movement' || place), machine_id, 'A1', -1, 'vend',
           pg_temp.id_at(at, '1vend' || place), at FROM sold
    """,
    """
    INSERT INTO credits (tenant_id, id, machine_id, device_id, amount_minor, currency, at)
    SELECT tenant_id, pg_temp.id_at(at, 'credit' || place), machine_id, device_id, 5000, 'INR', at FROM sold
    """,
    """
    INSERT INTO facts (tenant_id, gateway_id, epoch, seq, event, line, hash, received_at)
    SELECT tenant_id, gateway_id, 1, row_number() OVER (PARTITION BY gateway_id ORDER BY at), 'order_placed',
           convert_to(repeat(order_id::text, 8), 'UTF8'), sha256(convert_to(order_id::text, 'UTF8')), at FROM sold
    """,
    """
    INSERT INTO dead_letters (tenant_id, gateway_id, epoch, seq, reason, tries, received_at)
    SELECT tenant_id, gateway_id, epoch, seq, '', 3, received_at FROM facts WHERE seq % 1000 = 7
    """,
    """
    UPDATE gateways g SET epoch = 1, seq = told.seq
    FROM (SELECT tenant_id, gateway_id, max(seq) AS seq FROM facts GROUP BY 1, 2) AS told
    WHERE g.tenant_id = told.tenant_id AND g.id = told.gateway_id
    """,
    """
    INSERT INTO stock (tenant_id, machine_id, slot, quantity)
    SELECT tenant_id, machine_id, 'A' || slot, 5 FROM fleet, generate_series(1, 10) AS slot
    """,
    """
    INSERT INTO sales_hours (tenant_id, machine_id, hour, currency, orders, dispensed, captured_minor)
    SELECT tenant_id, machine_id, date_trunc('hour', at, 'UTC'), 'INR', count(*), count(*), sum(5000)
    FROM sold GROUP BY 1, 2, 3
    """,
    """
    INSERT INTO sales_days (tenant_id, machine_id, day, currency, orders, dispensed, captured_minor)
    SELECT tenant_id, machine_id, (at AT TIME ZONE 'UTC')::date, 'INR', count(*), count(*), sum(5000)
    FROM sold GROUP BY 1, 2, 3
    """,
    """
    INSERT INTO product_days (tenant_id, machine_id, product_id, day, currency, dispensed, sold_minor)
    SELECT tenant_id, machine_id, product_id, (at AT TIME ZONE 'UTC')::date, 'INR', count(*), sum(5000)
    FROM sold GROUP BY 1, 2, 3, 4
    """,
    """
    INSERT INTO health_samples (tenant_id, device_id, begin_at, at, uptime_s, centi_celsius, peak_ma, clock)
    SELECT tenant_id, device_id, at, at, 60, '{"top": 400}', '{}', 'synced' FROM sold
    """,
    """
    INSERT INTO device_health (tenant_id, device_id, at, uptime_s) SELECT tenant_id, device_id, now(), 60 FROM fleet
    """,
    """
    INSERT INTO changes (tenant_id, site_id, number, body)
    SELECT tenant_id, site_id, number,
           json_build_object('kind', 'product', 'product_id', site_id, 'version', number, 'name', 'P')
    FROM (SELECT DISTINCT tenant_id, site_id FROM fleet) AS s, generate_series(1, 50) AS number
    """,
    "UPDATE sites SET last_change = 50",
    """
    INSERT INTO search_words (tenant_id, kind, word, subject_id)
    SELECT tenant_id, kind, word, id FROM (
        SELECT tenant_id, 'machine' AS kind, name, id FROM machines
        UNION ALL SELECT tenant_id, 'site', name, id FROM sites
        UNION ALL SELECT tenant_id, 'gateway', name, id FROM gateways
        UNION ALL SELECT tenant_id, 'device', name, id FROM devices
        UNION ALL SELECT tenant_id, 'product', name, id FROM products
    ) AS named, unnest(search_words_of(name)) AS w (word)
    """,
)


async def fill(superuser: asyncpg.Connection, orders: int, machines: int) -> None:
    """So many orders on so many machines, over MONTHS months that end now."""
    await superuser.execute(
        "SET session_replication_role = replica; SET synchronous_commit = off; SET work_mem = '256MB'"
    )
    today = Clock().now().date()
    for back in range(1, MONTHS + 1):
        months = today.year * 12 + today.month - 1 - back
        await superuser.execute(f"CALL add_month('{months // 12}-{months % 12 + 1:02}-01')")
    await superuser.execute(_IDS)
    await superuser.execute(_FLEET.replace("$1", f"{machines}::numeric").replace("$2", str(TENANTS)))
    for part in _PARTS:
        text = part.replace("$1", str(orders)).replace("$2", f"'{MONTHS * 30} days'").replace("$3", str(machines))
        await superuser.execute(text)
    await superuser.execute("RESET session_replication_role")
    await superuser.execute("VACUUM (ANALYZE, PARALLEL 0)")
