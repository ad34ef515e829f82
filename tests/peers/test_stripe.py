"""Real binaries against localstripe, which is Stripe's API, and nobody here wrote it.

What the suite in Rust has is a stand-in of our own, which knows idempotency keys and fails on
demand, and takes whatever we think that Stripe takes. localstripe has its own idea of a customer, of
a subscription and of an event. It knows plans and no prices, so subscriptions are made by hand here.
"""

import base64
import json
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest
import stripe
from conftest import START_SECONDS, until
from runtime import Function
from test_mail import BASE_URL, REGION, TABLE, Aws, built, post

API_KEY = "sk_test_peers"
WEBHOOK_SECRET = "whsec_peers"


class Localstripe:
    """One localstripe on a port of its own, with nothing in it."""

    def __init__(self, directory):
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as free:
            free.bind(("::", 0))
            port = free.getsockname()[1]
        self.url, self.log = f"http://127.0.0.1:{port}", directory / "localstripe.log"
        # Straight to the loopback address, whatever proxy the environment names.
        self.direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        command = [sys.executable, "-m", "localstripe", "--port", str(port), "--from-scratch"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            until(self.answers, "an answer of localstripe", START_SECONDS)
        except BaseException:
            self.stop()
            raise

    def answers(self):
        if self.process.poll() is not None:
            pytest.fail(f"localstripe ended with {self.process.returncode}:\n{self.log.read_text()}")
        try:
            return self.get("/v1/customers")
        except urllib.error.URLError:
            return None

    def send(self, method, path, form=None):
        body = None if form is None else urllib.parse.urlencode(form).encode()
        headers = {"Authorization": f"Bearer {API_KEY}"}
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        with self.direct.open(request, timeout=30) as answer:
            return json.load(answer)

    def get(self, path):
        return self.send("GET", path)

    def post(self, path, form):
        return self.send("POST", path, form)

    def event(self, kind, about):
        """The event of a kind that is about the object `about`."""
        (event,) = [it for it in self.get(f"/v1/events?type={kind}")["data"] if it["data"]["object"]["id"] == about]
        return event

    def stop(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def localstripe(tmp_path):
    localstripe = Localstripe(tmp_path)
    yield localstripe
    localstripe.stop()


@pytest.fixture
def aws():
    aws = Aws()
    yield aws
    aws.server.stop()


@pytest.fixture
def launch(aws, localstripe, tmp_path):
    variables = {
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "anybody",
        "AWS_SECRET_ACCESS_KEY": "anything",
        "AWS_ENDPOINT_URL_DYNAMODB": aws.url,
        "TABLE_NAME": TABLE,
        "JWT_KEYS": f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}",
        "PUBLIC_BASE_URL": BASE_URL,
        "STRIPE_API_KEY": API_KEY,
        "STRIPE_API_BASE": localstripe.url,
        "STRIPE_WEBHOOK_SECRETS": WEBHOOK_SECRET,
    }
    running = []

    def launch(name):
        running.append(Function(built(name), tmp_path, variables))
        return running[-1]

    yield launch
    for function in running:
        function.stop()


def call(method, path, body=None, token=None, query=""):
    """The event of any request through an HTTP API."""
    event = post(path, body, token)
    event["requestContext"]["http"]["method"] = method
    return event | {"routeKey": f"{method} {path}", "rawQueryString": query}


def signed(event):
    """The request with which Stripe would tell of `event`, signed by Stripe's own client."""
    payload = json.dumps(event)
    header = stripe.WebhookSignature.generate_signature_header(payload, WEBHOOK_SECRET, int(time.time()))
    request = post("/api/webhooks/stripe", None)
    request["headers"]["stripe-signature"] = header
    return request | {"body": payload}


def body(answer, status=200):
    assert answer["statusCode"] == status, answer
    return json.loads(answer["body"])


def test_a_customer_is_made_at_stripe_once_and_found_there(aws, launch, localstripe):
    create, key = launch("create-customer"), aws.api_key()
    asked = {"id": "shop-1", "name": "Asha Rao", "email": "asha@example.org", "create_in_stripe": True}
    made = body(create.invoke(post("/v1/customers", asked, key)), 201)
    again = body(create.invoke(post("/v1/customers", asked | {"name": "Another name"}, key)))
    (there,) = localstripe.get("/v1/customers")["data"]
    assert made["stripe_id"] == again["stripe_id"] == there["id"]
    assert (there["name"], there["email"]) == ("Asha Rao", "asha@example.org")
    assert there["metadata"]["internal_id"] == made["internal_id"]
    assert there["metadata"]["customer_reference"] == made["customer_reference"]


def test_a_subscription_is_followed_and_ends_with_its_customer(aws, launch, localstripe):
    names = ("create-customer", "put-product", "stripe-webhook", "get-customer", "delete-customer")
    create, put, webhook, get, delete = [launch(name) for name in names]
    key = aws.api_key()
    body(put.invoke(call("PUT", "/v1/products/pro", {"name": "Pro", "items": []}, key)), 201)
    asked = {"id": "shop-1", "email": "asha@example.org", "create_in_stripe": True}
    customer = body(create.invoke(post("/v1/customers", asked, key)), 201)

    plan = {"id": "monthly", "amount": 0, "currency": "inr", "interval": "month", "product[name]": "Pro"}
    localstripe.post("/v1/plans", plan)
    form = {"customer": customer["stripe_id"], "items[0][plan]": "monthly", "items[0][quantity]": 2}
    subscription = localstripe.post("/v1/subscriptions", form | {"metadata[product_id]": "pro"})
    created = localstripe.event("customer.subscription.created", subscription["id"])
    assert body(webhook.invoke(signed(created))) == {"received": True}
    assert body(webhook.invoke(signed(created))) == {"received": True, "duplicate": True}

    def product():
        (product,) = body(get.invoke(call("GET", "/v1/customers/shop-1", token=key)))["products"]
        return product

    held = product()
    assert (held["id"], held["quantity"], held["status"]) == ("pro", 2, subscription["status"])
    period_end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(subscription["current_period_end"]))
    assert (subscription["status"], held["current_period_end"]) == ("active", period_end)

    refused = delete.invoke(call("DELETE", "/v1/customers/shop-1", token=key))
    assert body(refused, 409)["code"] == "has_subscription"
    query = "cancel_subscriptions=true"
    body(delete.invoke(call("DELETE", "/v1/customers/shop-1", token=key, query=query)))
    assert localstripe.get(f"/v1/subscriptions/{subscription['id']}")["status"] == "canceled"
