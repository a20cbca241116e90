"""What a form keeps of what was typed, and of what is wrong with it."""

from cloud.dashboard.forms import Form
from shared.errors import FieldError


def test_a_field_has_the_first_thing_that_is_wrong_with_it() -> None:
    form = Form({"name": ["x"]}).wrong("name", "Too short.").wrong("name", "No capital.").wrong("", "Too late.")
    assert form.errors == {"name": "Too short.", "": "Too late."}
    assert form.values == {"name": ["x"]}


def test_what_a_use_case_refuses_becomes_sentences_at_the_fields() -> None:
    errors = [FieldError(path="sites.3.name", message="is no id"), FieldError(path="sites.4", message="Is gone.")]
    assert Form().refused(errors).errors == {"sites": "Is no id."}


def test_two_forms_of_a_page_have_ids_of_their_own() -> None:
    assert (Form().id_of("name"), Form(prefix="invite").id_of("name")) == ("name", "invite-name")


def test_what_was_not_posted_is_empty() -> None:
    form = Form({"rights": ["a", "b"]})
    assert (form.get("rights"), form.all("rights"), form.get("name"), form.all("name")) == ("a", ["a", "b"], "", [])
