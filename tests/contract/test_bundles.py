"""A bundle as a file: opened by its passphrase alone, as it was written, by whom it was told to believe."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.bundles import MAGIC, BundleRefused, SiteBundle, new_passphrase, opened, read, sealed
from tests.fakes.bundle import BundleMaker

MAKER = BundleMaker()
PASSPHRASE = "7K3M-W9QP-01XZ-ABCD-EFGH"
FILE = MAKER.file(MAKER.bundle(), PASSPHRASE)


def test_what_was_sealed_is_opened_however_the_passphrase_is_typed() -> None:
    bundle = MAKER.bundle()
    file = MAKER.file(bundle, PASSPHRASE)
    for typed in (PASSPHRASE, "7k3m w9qp o1xz abcd efgh", "7K3MW9QP0LXZABCDEFGH\n"):
        assert read(opened(file, typed)) == bundle


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_with_any_byte_changed_it_is_refused(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(FILE) - 1) | st.integers(0, len(MAGIC) + 30))
    change = data.draw(st.integers(1, 255))
    altered = bytearray(FILE)
    altered[place] ^= change
    with pytest.raises(BundleRefused):
        opened(bytes(altered), PASSPHRASE)


def test_cut_or_foreign_files_are_refused() -> None:
    for file in (b"", MAGIC, FILE[:-1], FILE + b"\0", FILE[: len(MAGIC) + 20], b"PK\x03\x04"):
        with pytest.raises(BundleRefused):
            opened(file, PASSPHRASE)


def test_another_passphrase_opens_nothing() -> None:
    with pytest.raises(BundleRefused, match="another one"):
        opened(FILE, new_passphrase())


def test_a_text_that_its_key_has_not_signed_is_refused() -> None:
    signed = opened(FILE, PASSPHRASE)
    forged = signed.model_copy(update={"text": signed.text.replace("Pune", "Puna")})
    with pytest.raises(BundleRefused, match="signature"):
        read(opened(sealed(forged, PASSPHRASE), PASSPHRASE))


def test_a_signature_for_something_else_is_none_for_a_bundle() -> None:
    signed = MAKER.signed(MAKER.bundle(), purpose="report")
    with pytest.raises(BundleRefused, match="signature"):
        read(signed)


def test_a_passphrase_has_a_hundred_bits_in_plain_letters() -> None:
    made = {new_passphrase() for _ in range(50)}
    assert len(made) == 50
    assert all(len(one.replace("-", "")) == 20 and set(one) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ-") for one in made)


def test_a_change_of_a_newer_version_does_not_make_it_unreadable() -> None:
    bundle = MAKER.bundle(({"kind": "of next year", "anything": 1},))
    assert isinstance(read(MAKER.signed(bundle)), SiteBundle)
