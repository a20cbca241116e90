"""The cloud's commands on a database given by URL: whom they let in, and the one line when they do not start."""

import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from cloud import schema
from cloud.clock import new_id
from cloud.database import APP_ROLE, Database, credentials
from cloud.failpoints import Failpoints
from tests.cloud.conftest import Server
from tests.fakes import encryption_keys


def run(*command: str, **urls: str) -> subprocess.CompletedProcess[str]:
    settings = {f"LARDER_CLOUD_{name.upper()}": url for name, url in urls.items()}
    return subprocess.run(
        [sys.executable, "-m", "cloud", *command],
        env=os.environ | {"LARDER_CLOUD_PORT": "0"} | encryption_keys.settings() | settings,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def refused(ended: subprocess.CompletedProcess[str], status: int, word: str) -> None:
    assert (ended.returncode, ended.stderr.count("\n")) == (status, 1), ended.stderr
    assert word in ended.stderr
    assert "Traceback" not in ended.stdout


def test_serving_as_the_owner_of_the_tables_is_refused(owner_url: str) -> None:
    refused(run("serve", database_url=owner_url), 78, "walls between tenants")


def test_migrating_takes_the_owner_and_serving_does_not(database_url: str, owner_url: str) -> None:
    assert run("migrate", owner_database_url=owner_url).returncode == 0
    refused(run("migrate", database_url=database_url), 78, "LARDER_CLOUD_OWNER_DATABASE_URL is missing")
    refused(run("serve", owner_database_url=owner_url), 78, "LARDER_CLOUD_DATABASE_URL is missing")


async def test_serving_a_database_that_is_not_migrated_is_refused(server: Server) -> None:
    name = f"t{new_id().hex}"
    await server.administer(f"CREATE DATABASE {name} OWNER larder_owner")
    try:
        refused(run("serve", database_url=server.url(name)), 78, "run python -m cloud migrate")
    finally:
        await server.administer(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_key_for_a_tenant_that_is_not_there_is_refused(database_url: str) -> None:
    refused(run("create-api-key", str(new_id()), "key", database_url=database_url), 1, "not_found")


def test_an_error_of_the_database_is_one_line(owner_url: str) -> None:
    refused(run("migrate", owner_database_url=owner_url.replace("larder_owner", "stranger")), 1, "stranger")


@pytest.mark.lab
def test_serving_without_a_database_is_refused_in_one_line() -> None:
    refused(run("serve", database_url="postgresql://larder_app@127.0.0.1:9/larder"), 1, "unavailable")


async def test_the_user_of_the_application_can_neither_alter_a_table_nor_become_another(database_url: str) -> None:
    connection = await asyncpg.connect(**credentials(database_url), server_settings={"role": APP_ROLE})
    await connection.execute("SET ROLE NONE")
    for attempt in (
        "SET ROLE larder_owner",
        "SET SESSION AUTHORIZATION larder_owner",
        "ALTER TABLE tenants NO FORCE ROW LEVEL SECURITY",
        "DROP TABLE orders",
        "CREATE TABLE mine (id int)",
        "COPY tenants TO PROGRAM 'cat'",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(attempt)
    await connection.close()


async def test_a_user_with_a_way_round_the_walls_is_found(
    server: Server, database: Database, database_url: str, owner_url: str
) -> None:
    assert not await database.unit("test", schema.has_way_round)
    for url in (owner_url, server.postgres.url("postgres", credentials(database_url)["database"])):
        other = Database(url, Failpoints(), pool_size=1)
        await other.open()
        assert await other.unit("test", schema.has_way_round)
        await other.close()


def check(*arguments: str, **settings: str) -> tuple[int, dict[str, str], str]:
    """`check-config`: its status, the shown value and origin by name, and what it found wrong."""
    ended = run("check-config", *arguments, **settings)
    rows = (line.split(maxsplit=1) for line in ended.stdout.splitlines() if line.endswith(")"))
    return ended.returncode, dict(rows), ended.stderr


@pytest.mark.criterion("10.4")
def test_check_config_shows_where_each_setting_came_from_and_no_secret(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "cloud.toml"
    file.write_text('log_level = "debug"\n')
    hidden = new_id().hex
    url = f"postgresql://larder_app:{hidden}@db.example:5432/larder"
    status, shown, wrong = check(config=str(file), database_url=url)
    assert (status, wrong) == (0, "")
    assert shown["log_level"] == f"debug  ({file})"
    assert shown["database_url"] == "postgresql://larder_app:…@db.example:5432/larder  (LARDER_CLOUD_DATABASE_URL)"
    secret = new_id().hex
    bucket = {"s3_bucket": "larder", "s3_access_key_id": "id", "s3_secret_access_key": secret}
    shown |= check(database_url=url, **bucket)[1]
    assert shown["s3_bucket"] == "larder  (LARDER_CLOUD_S3_BUCKET)"
    assert shown["s3_secret_access_key"] == "…  (LARDER_CLOUD_S3_SECRET_ACCESS_KEY)"
    assert secret not in str(shown)
    assert shown["rate_address"] == "600/60  (default)"
    assert hidden not in str(shown)


@pytest.mark.criterion("10.4")
def test_check_config_connects_when_told_to(database_url: str, owner_url: str) -> None:
    assert check("--connect", database_url=database_url)[0] == 0
    status, _, wrong = check("--connect", database_url=owner_url)
    assert (status, wrong.count("\n")) == (78, 1)
    assert "walls between tenants" in wrong
    status, _, wrong = check("--connect", database_url=database_url, replica_url=database_url)
    why = "it is no replica of this database"  # though it is the very database
    assert (status, wrong) == (78, f"larder cloud: LARDER_CLOUD_REPLICA_URL: {why}\n")
    nobody = {"s3_bucket": "larder", "s3_access_key_id": "id", "s3_secret_access_key": new_id().hex}
    status, _, wrong = check("--connect", database_url=database_url, s3_endpoint="http://127.0.0.1:9", **nobody)
    assert (status, "S3_BUCKET" in wrong) == (78, True)


@pytest.mark.criterion("10.2")
@pytest.mark.criterion("10.4")
def test_check_config_tells_all_that_is_wrong_with_files_and_keys(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("no key")
    key.chmod(0o644)
    status, _, wrong = check(settings_key_file=str(key), tls_key_file=str(key), tls_certificate_file=str(key))
    lines = wrong.splitlines()
    assert status == 78
    for needed in ("SETTINGS_KEY_FILE: others may", "TLS_KEY_FILE: others may", "TLS_CERTIFICATE_FILE", "in PEM"):
        assert [line for line in lines if needed in line], needed
    missing = check(settings_key_file=str(tmp_path / "none.pem"))
    assert (missing[0], "cannot be read" in missing[2]) == (78, True)


@pytest.mark.criterion("10.2")
def test_production_does_not_start_with_a_key_that_others_may_read(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("no key")
    key.chmod(0o640)
    settings = {"environment": "production", "trusted_proxies": "10.0.0.0/8", "settings_key_file": str(key)}
    settings |= {"public_url": "https://cloud.example", "mail_url": "smtp://mail.example"}
    refused(run("serve", database_url="postgresql://u@/d?host=/run/x", **settings), 78, "others may read")
