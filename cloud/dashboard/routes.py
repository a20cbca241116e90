"""All pages, each where it belongs."""

import asyncio
from pathlib import Path

from quart import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as PlainResponse

from cloud.auth.gate import current_person
from cloud.auth.identity import Identity
from cloud.commissioning.service import CommissioningService
from cloud.configuration.service import SettingsSigner
from cloud.contacts.service import ContactService
from cloud.customers.service import CustomerService
from cloud.dashboard.account import AccountPages
from cloud.dashboard.audit import AuditPages
from cloud.dashboard.customer import OneCustomerPages
from cloud.dashboard.customers import CustomerPages
from cloud.dashboard.keys import KeyPages
from cloud.dashboard.links import present_page, with_next
from cloud.dashboard.machine_templates import TemplatePages
from cloud.dashboard.mailed_links import MailedLinkPages
from cloud.dashboard.mails import MailPages
from cloud.dashboard.navigation import NAVIGATION
from cloud.dashboard.orders import EVENTS, OrderPages
from cloud.dashboard.platform import PlatformPages
from cloud.dashboard.search import SearchPages
from cloud.dashboard.second_factor import SecondFactorPages
from cloud.dashboard.setup_checks import SetupCheckPages
from cloud.dashboard.setup_desk import SetupDesk
from cloud.dashboard.setup_devices import SetupDevicePages
from cloud.dashboard.setup_machines import SetupMachinePages
from cloud.dashboard.setup_review import SetupReviewPages
from cloud.dashboard.setup_sheet import SetupSheetPages
from cloud.dashboard.setup_site import SetupSitePages
from cloud.dashboard.setups import SetupPages
from cloud.dashboard.shell import Shell
from cloud.dashboard.sign_in import SECOND_FACTOR, SignInPages
from cloud.dashboard.signed_in import SignedInPages, rights_of
from cloud.dashboard.users import UserPages
from cloud.dashboard.webhooks import WebhookPages
from cloud.encryption.keyring import Keyring
from cloud.errors import Unauthenticated
from cloud.idempotency import Once
from cloud.operations import Access, operation
from cloud.setups.service import SetupService
from cloud.sheets.service import SheetService
from cloud.sync.changes import full_state
from cloud.throttle import Throttle
from cloud.watch import Watch
from cloud.webhooks.service import WebhookService


def blueprint(
    shell: Shell,
    identity: Identity,
    throttle: Throttle,
    watch: Watch,
    draining: asyncio.Event,
    keyring: Keyring,
    webhooks: WebhookService,
    signer: SettingsSigner | None,
    public_url: str,
    mail_folder: Path | None = None,
) -> Blueprint:
    """All pages. With `mail_folder` anybody may read the mail in it: in development only."""
    pages = Blueprint("dashboard", __name__, template_folder="templates")
    shell.install(pages)
    pages.add_url_rule("/", view_func=home)
    entrance, signed_in = SignInPages(shell, identity, throttle), SignedInPages(shell, identity)
    entrance.register(pages)
    MailedLinkPages(shell, identity, entrance).register(pages)
    OrderPages(signed_in, identity, watch, draining).register(pages)
    customers = CustomerService(keyring, identity.clock)
    served = (signed_in, identity, customers, ContactService(customers, keyring, identity.clock))
    CustomerPages(*served).register(pages)
    OneCustomerPages(*served).register(pages)
    AccountPages(signed_in, identity).register(pages)
    SecondFactorPages(signed_in, identity, entrance).register(pages)
    UserPages(signed_in, identity, webhooks).register(pages)
    KeyPages(signed_in, identity).register(pages)
    WebhookPages(signed_in, identity, webhooks).register(pages)
    setups = SetupService(keyring, identity.clock)
    desk = SetupDesk(signed_in, identity.database, setups, keyring, identity.clock)
    for group in (SetupPages, SetupSitePages, SetupMachinePages, SetupDevicePages, SetupReviewPages, TemplatePages):
        group(desk).register(pages)
    sheets = SheetService(setups, signer, keyring, identity.clock, public_url, full_state)
    SetupSheetPages(desk, sheets, Once(identity.database, keyring)).register(pages)
    SetupCheckPages(desk, CommissioningService(setups, signer, identity.clock)).register(pages)
    AuditPages(signed_in, identity.database).register(pages)
    PlatformPages(signed_in, identity).register(pages)
    SearchPages(signed_in, identity.database).register(pages)
    if mail_folder is not None:
        MailPages(shell, mail_folder).register(pages)
    pages.before_request(_ignore_ranges)
    pages.register_error_handler(Unauthenticated, _ask_to_sign_in)
    return pages


@operation(Access.SIGNED_IN)
async def home() -> PlainResponse:
    """GET /: to the first page that they may see."""
    person = current_person()
    if person.needs_second_factor and not person.has_second_factor:
        return redirect(SECOND_FACTOR)
    groups = NAVIGATION.seen_with(rights_of(person)).groups
    return redirect(groups[0].links[0].href if groups else "/account")


async def _ignore_ranges() -> None:
    """As RFC 9110 (14.2) allows: all we have is small, and a range that does not fit would be one more error."""
    request.headers.pop("Range", None)


async def _ask_to_sign_in(error: Unauthenticated) -> PlainResponse | Response:
    """A person is shown where to; a stream is told that it has ended."""
    if request.path == EVENTS:
        return Response(error.detail, error.status)
    return redirect(with_next("/login", present_page()))
