"""From the public form to the signed-in page, with the webhook signed by Stripe's own client and the
table read by AWS's own client: neither shares a line with Rollcall."""

import base64
import json
import re
import time
import uuid
from dataclasses import dataclass

import pytest
import stripe
from conftest import ADMIN_EMAIL, ADMIN_PASSWORD, Server, until

WEBHOOK_SECRET = "whsec_local"
CRN = re.compile(r"PLE-CVP-\d{4}-\d{6,}")
CUSTOMER_NUMBER = re.compile(r"PL[1-9]\d*")
# 16 characters that nobody confuses, alone on their line.
TEMPORARY_PASSWORD = re.compile(r"^[A-HJ-NP-Za-km-z2-9]{16}$", re.MULTILINE)


def unique_email(who):
    return f"{who}.{uuid.uuid4().hex[:8]}@example.com"


def submit(server, email):
    answer = server.post("/api/intake/submit", {"name": "Asha Rao", "email": email, "phone": "+919876543210"})
    assert answer.status == 201, answer.text
    return answer.json


def completed_checkout(lead):
    """`checkout.session.completed` as Stripe sends it, cut down to the fields that an event always has."""
    return json.dumps(
        {
            "id": f"evt_{uuid.uuid4().hex}",
            "object": "event",
            "api_version": stripe.api_version,
            "created": int(time.time()),
            "type": "checkout.session.completed",
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "data": {
                "object": {
                    "id": f"cs_test_{uuid.uuid4().hex}",
                    "object": "checkout.session",
                    "client_reference_id": lead["client_id"],
                    "customer": f"cus_{uuid.uuid4().hex[:14]}",
                    "customer_details": {"email": "somebody.else@example.com"},
                    "metadata": {"client_id": lead["client_id"], "customer_reference": lead["customer_reference"]},
                    "mode": "subscription",
                    "payment_status": "paid",
                    "status": "complete",
                }
            },
        }
    )


def deliver(server, payload, secret=WEBHOOK_SECRET, timestamp=None):
    header = stripe.WebhookSignature.generate_signature_header(payload, secret, timestamp)
    headers = {"Stripe-Signature": header, "Content-Type": "application/json; charset=utf-8"}
    return server.post("/api/webhooks/stripe", payload, headers=headers)


@dataclass
class Journey:
    email: str
    lead: dict
    payment: str
    paid: dict
    login: dict
    me: dict
    temporary_password: str


@pytest.fixture(scope="session")
def journey(server):
    email = unique_email("asha")
    lead = submit(server, email)
    payment = completed_checkout(lead)
    paid = deliver(server, payment)
    assert paid.status == 200, paid.text
    (password,) = TEMPORARY_PASSWORD.findall(server.message_to(email)["body"])
    login = server.login(email, password)
    assert login.status == 200, login.text
    me = server.get("/auth/me", token=login.json["token"])
    assert me.status == 200, me.text
    return Journey(email, lead, payment, paid.json, login.json, me.json, password)


def test_the_form_answers_with_a_crn(journey):
    assert CRN.fullmatch(journey.lead["customer_reference"])
    assert journey.lead["status"] == "pending_payment"


def test_a_payment_leads_to_the_signed_in_page(journey):
    assert journey.paid == {"received": True}
    assert journey.login["must_change_password"] is True
    customer = journey.me["customer"]
    assert customer["internal_id"] == journey.me["customer_v2_id"] == journey.lead["client_id"]
    assert customer["customer_reference"] == journey.lead["customer_reference"]
    assert customer["user_id"] == journey.me["user_id"]
    assert customer["status"] == "active"
    assert customer["stripe_id"] == json.loads(journey.payment)["data"]["object"]["customer"]
    assert (journey.me["email"], journey.me["role"]) == (journey.email, "customer")
    assert CUSTOMER_NUMBER.fullmatch(journey.me["customerId"])


def test_a_repeated_event_changes_nothing(server, journey):
    answer = deliver(server, journey.payment)
    assert (answer.status, answer.json) == (200, {"received": True, "duplicate": True})
    # A second invitation would be pending by now, and then it would be in the mailbox.
    until(lambda: "pending" not in [it.get("state") for it in server.table()], "every message is delivered")
    assert len([it for it in server.get("/dev/outbox").json if it["to"] == journey.email]) == 1


@pytest.mark.parametrize(
    ("secret", "age_seconds"),
    [("whsec_of_somebody_else", 0), (WEBHOOK_SECRET, 400), (WEBHOOK_SECRET, -400)],
    ids=["another secret", "too old", "from the future"],
)
def test_a_signature_that_does_not_hold_pays_for_nothing(server, secret, age_seconds):
    email = unique_email("lead")
    lead = submit(server, email)
    answer = deliver(server, completed_checkout(lead), secret, int(time.time()) - age_seconds)
    assert (answer.status, answer.json["code"]) == (400, "invalid_signature")
    (record,) = [it for it in server.table() if it["pk"] == f"CUSTOMER#{lead['client_id']}" and it.get("kind") == "customer"]
    assert (record["status"], record.get("user_id")) == ("pending_payment", None)


def test_an_admin_creates_a_customer_once(server):
    admin = server.login(ADMIN_EMAIL, ADMIN_PASSWORD)
    assert admin.status == 200, admin.text
    token = admin.json["token"]
    body = {"id": f"shop-{uuid.uuid4().hex[:8]}", "name": "Ravi Iyer", "email": unique_email("ravi")}
    created = server.post("/v1/customers", body, token=token)
    again = server.post("/v1/customers", body, token=token)
    assert (created.status, again.status) == (201, 200), created.text + again.text
    assert created.json["internal_id"] == again.json["internal_id"]
    for key in ("id", "internal_id", "customer_reference", "customerId"):
        found = server.get(f"/v1/customers/{created.json[key]}", token=token)
        assert found.json["internal_id"] == created.json["internal_id"], f"by {key}"
    server.message_to(body["email"])


def test_the_raw_table_holds_what_was_promised(server, journey):
    submit(server, unique_email("never.paid"))
    items = server.table()
    customers = {it["pk"].removeprefix("CUSTOMER#"): it for it in items if it.get("kind") == "customer"}
    users = {it["pk"].removeprefix("USER#"): it for it in items if it.get("kind") == "user"}
    assert journey.lead["client_id"] in customers
    assert journey.me["user_id"] in users

    references = [it["customer_reference"] for it in customers.values()]
    assert [it for it in references if not CRN.fullmatch(it)] == []
    assert len(references) == len(set(references))

    for internal_id, customer in customers.items():
        if customer["status"] in ("pending_payment", "payment_failed"):
            assert customer.get("user_id") is None, f"the lead {internal_id} has a user"
        else:
            assert users[customer["user_id"]]["customer_v2_id"] == internal_id
    for user_id, user in users.items():
        if user.get("customer_v2_id"):
            assert customers[user["customer_v2_id"]]["user_id"] == user_id


def test_no_password_is_at_rest_or_in_the_logs(server, journey):
    readable = repr(server.table())
    for secret in (journey.temporary_password, ADMIN_PASSWORD):
        for form in (secret, base64.b64encode(secret.encode()).decode().rstrip("="), secret.encode().hex()):
            assert form not in readable
    assert journey.temporary_password not in server.output()
    assert journey.login["token"] not in readable + server.output()


def test_sigterm_ends_the_server_with_0(tmp_path):
    server = Server(tmp_path)
    assert server.get("/health").status == 200
    assert server.stop() == 0, server.output()
