"""The table of contents: every blueprint under /v1."""

import asyncio

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from quart import Blueprint

from cloud.audit import routes as audit_routes
from cloud.auth import gateway_routes
from cloud.auth.factor_routes import FactorRoutes
from cloud.auth.identity import Identity
from cloud.auth.key_routes import KeyRoutes
from cloud.auth.service import AuthService
from cloud.auth.user_routes import UserRoutes
from cloud.cache import Caches
from cloud.catalog.routes import CatalogRoutes
from cloud.clock import Clock
from cloud.commissioning import routes as commissioning_routes
from cloud.commissioning.service import CommissioningService
from cloud.configuration.routes import ConfigurationRoutes
from cloud.configuration.service import SettingsSigner
from cloud.contacts.routes import ContactRoutes
from cloud.contacts.service import ContactService
from cloud.customers.routes import CustomerRoutes
from cloud.customers.service import CustomerService
from cloud.database import Database
from cloud.decommissions import routes as decommissions_routes
from cloud.devices import routes as devices_routes
from cloud.encryption.keyring import Keyring
from cloud.erasure import routes as erasure_routes
from cloud.failpoints import Failpoints
from cloud.health import routes as health_routes
from cloud.idempotency import Once
from cloud.inventory.routes import InventoryRoutes
from cloud.live import LiveSettings
from cloud.onboarding.routes import OnboardingRoutes
from cloud.onboarding.service import OnboardingService
from cloud.orders import routes as orders_routes
from cloud.pictures.routes import PictureRoutes
from cloud.pictures.service import Pictures
from cloud.reports import Reports
from cloud.rollouts.routes import RolloutRoutes
from cloud.sales import routes as sales_routes
from cloud.search import routes as search_routes
from cloud.setups.routes import SetupRoutes
from cloud.setups.service import SetupService
from cloud.sheets import routes as sheets_routes
from cloud.sheets.service import SheetService
from cloud.sync.changes import full_state
from cloud.sync.routes import SyncRoutes
from cloud.templates.routes import TemplateRoutes
from cloud.throttle import Throttle
from cloud.upkeep.routes import UpkeepRoutes
from cloud.watch import Watch
from cloud.webhooks.routes import WebhookRoutes
from cloud.webhooks.service import WebhookService


def blueprint(
    database: Database,
    reports: Reports,
    auth: AuthService,
    throttle: Throttle,
    live: LiveSettings,
    watch: Watch,
    clock: Clock,
    failpoints: Failpoints,
    draining: asyncio.Event,
    keyring: Keyring,
    release_keys: dict[str, Ed25519PublicKey],
    signer: SettingsSigner | None,
    identity: Identity,
    pictures: Pictures,
    public_url: str,
    caches: Caches,
    webhooks: WebhookService,
) -> Blueprint:
    """The API."""
    api = Blueprint("api", __name__, url_prefix="/v1")
    once, onboarding = Once(database, keyring), OnboardingService(database, clock)
    customers = CustomerService(keyring, clock)
    api.register_blueprint(OnboardingRoutes(database, onboarding, failpoints, live).blueprint())
    api.register_blueprint(SyncRoutes(database, auth, throttle, watch, failpoints, draining, keyring).blueprint())
    api.register_blueprint(gateway_routes.blueprint(database))
    api.register_blueprint(UserRoutes(identity.members, identity.invitations, identity.factor_resets, once).blueprint())
    api.register_blueprint(FactorRoutes(identity.replacements).blueprint())
    api.register_blueprint(KeyRoutes(identity.keys, once).blueprint())
    api.register_blueprint(orders_routes.blueprint(database, reports))
    api.register_blueprint(sales_routes.blueprint(reports))
    api.register_blueprint(InventoryRoutes(database, reports, once).blueprint())
    api.register_blueprint(CatalogRoutes(database, once, caches).blueprint())
    api.register_blueprint(PictureRoutes(pictures).blueprint())
    api.register_blueprint(devices_routes.blueprint(database))
    api.register_blueprint(health_routes.blueprint(database))
    api.register_blueprint(RolloutRoutes(database, clock, release_keys).blueprint())
    api.register_blueprint(UpkeepRoutes(database, clock, keyring).blueprint())
    api.register_blueprint(ConfigurationRoutes(database, clock, keyring, signer).blueprint())
    api.register_blueprint(CustomerRoutes(database, customers, once).blueprint())
    api.register_blueprint(ContactRoutes(database, ContactService(customers, keyring, clock), once).blueprint())
    api.register_blueprint(erasure_routes.blueprint(database, clock))
    api.register_blueprint(WebhookRoutes(webhooks, once).blueprint())
    setups = SetupService(keyring, clock)
    api.register_blueprint(SetupRoutes(database, setups, once).blueprint())
    sheets = SheetService(setups, signer, keyring, clock, public_url, full_state)
    api.register_blueprint(sheets_routes.blueprint(sheets, once))
    commissioning = CommissioningService(setups, signer, clock)
    api.register_blueprint(commissioning_routes.blueprint(database, commissioning, once))
    api.register_blueprint(decommissions_routes.blueprint(database, once))
    api.register_blueprint(TemplateRoutes(database, keyring, clock, once).blueprint())
    api.register_blueprint(audit_routes.blueprint(database))
    api.register_blueprint(search_routes.blueprint(database))
    return api
