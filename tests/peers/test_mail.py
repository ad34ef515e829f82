"""Real binaries against moto, which is DynamoDB with its stream, SES and SNS, and nobody here wrote it.

What the suite in Rust has is a stand-in of our own for SES and SNS: it takes whatever we think that
they take. moto refuses a sender that is not verified, and has a stream that brings what the
template's filter was written for.
"""

import base64
import hashlib
import json
import os
import re
import secrets
import urllib.request
import uuid

import boto3
import pytest
from botocore.config import Config
from conftest import ROOT
from moto.server import ThreadedMotoServer
from runtime import Function
from samtranslator.yaml_helper import yaml_parse

TABLE = "rollcall"
REGION = "us-east-1"
BASE_URL = "https://app.example.com"
SENDER = "hello@example.com"
PASSWORD = r"(?<![A-Za-z0-9])[A-HJ-NP-Za-km-z2-9]{16}(?![A-Za-z0-9])"


def built(name):
    """The binary of a function, which `cargo test` has built; without a gate to pass, one may do without."""
    path = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "debug" / name
    if not path.is_file():
        missing = f"no function at {path}: run `cargo test -p functions --no-run` first"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    return path


class Aws:
    """moto, with the table of the template in it."""

    def __init__(self):
        self.server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self.server.start()
        host, port = self.server.get_host_and_port()
        self.url = f"http://{host}:{port}"
        # All servers of one process share what they hold: this one begins with nothing.
        reset = urllib.request.Request(f"{self.url}/moto-api/reset", method="POST")
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(reset).close()
        resources = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]
        (self.filter,) = resources["NotifyStream"]["Properties"]["FilterCriteria"]["Filters"]
        table = resources["Table"]["Properties"]
        made = self.client("dynamodb").create_table(
            TableName=TABLE,
            StreamSpecification={"StreamEnabled": True, **table["StreamSpecification"]},
            **{it: table[it] for it in ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")},
        )
        self.stream = made["TableDescription"]["LatestStreamArn"]

    def client(self, service):
        # Straight to the loopback address, whatever proxy the environment names.
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="anybody",
            aws_secret_access_key="anything",
            config=Config(proxies={}),
        )

    def api_key(self):
        """The text of a new API key, kept as shared/src/store/api_key.rs keeps one."""
        text = f"rk_{secrets.token_hex(24)}"
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        words = {"pk": f"APIKEY#{sha256}", "sk": "#", "kind": "api_key", "sha256": sha256, "label": "peers"}
        words |= {"key_id": str(uuid.uuid4()), "created_at": "2026-11-20T12:00:00Z"}
        item = {name: {"S": word} for name, word in words.items()} | {"version": {"N": "1"}}
        self.client("dynamodb").put_item(TableName=TABLE, Item=item)
        return text

    def woken_by(self):
        """The event with every record of the stream that the template's filter lets through."""
        streams, records = self.client("dynamodbstreams"), []
        for shard in streams.describe_stream(StreamArn=self.stream)["StreamDescription"]["Shards"]:
            begin = {"ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
            position = streams.get_shard_iterator(StreamArn=self.stream, **begin)["ShardIterator"]
            records += streams.get_records(ShardIterator=position)["Records"]
        pattern = json.loads(self.filter["Pattern"])
        event = {"Records": [it for it in records if lets_through(pattern, it)]}
        return json.loads(json.dumps(event, default=lambda time: time.timestamp()))

    def arrived(self, service, kind):
        """What moto has taken."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(f"{self.url}/moto-api/data.json") as answer:
            return json.load(answer).get(service, {}).get(kind, [])


def lets_through(pattern, value):
    """Lambda's filter rule, as far as ours goes: where it has a list, one of the list."""
    if isinstance(pattern, list):
        return value in pattern
    return isinstance(value, dict) and all(lets_through(it, value.get(name)) for name, it in pattern.items())


def post(path, body, token=None):
    """The event of a request through an HTTP API."""
    headers = {"host": "api.example.com", "content-type": "application/json"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    http = {"method": "POST", "path": path, "protocol": "HTTP/1.1", "sourceIp": "198.51.100.7", "userAgent": "test/1"}
    context = {"http": http, "stage": "$default", "routeKey": f"POST {path}", "requestId": "1", "accountId": "1"}
    context |= {"apiId": "1", "domainName": "api.example.com", "domainPrefix": "api"}
    context |= {"time": "20/Nov/2026:12:00:00 +0000", "timeEpoch": 1_795_176_000_000}
    event = {"version": "2.0", "routeKey": f"POST {path}", "rawPath": path, "rawQueryString": "", "headers": headers}
    return event | {"requestContext": context, "body": json.dumps(body), "isBase64Encoded": False}


@pytest.fixture
def aws():
    aws = Aws()
    yield aws
    aws.server.stop()


@pytest.fixture
def launch(aws, tmp_path):
    variables = {
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "anybody",
        "AWS_SECRET_ACCESS_KEY": "anything",
        "AWS_ENDPOINT_URL_DYNAMODB": aws.url,
        "AWS_ENDPOINT_URL_SESV2": aws.url,
        "AWS_ENDPOINT_URL_SNS": aws.url,
        "TABLE_NAME": TABLE,
        "JWT_KEYS": f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}",
        "PUBLIC_BASE_URL": BASE_URL,
        "MAIL_FROM": f"Rollcall <{SENDER}>",
    }
    running = []

    def launch(name):
        running.append(Function(built(name), tmp_path, variables))
        return running[-1]

    yield launch
    for function in running:
        function.stop()


def test_invitations_arrive_at_ses_and_sns_and_their_passwords_sign_in(aws, launch):
    create, notify, login = launch("create-customer"), launch("notify"), launch("login")
    key = aws.api_key()
    for customer in ({"name": "Asha Rao", "email": "asha@example.org"}, {"name": "Mira Sen", "phone": "98765 43210"}):
        assert create.invoke(post("/v1/customers", customer, key))["statusCode"] == 201

    # Of all that two customers write, the two messages wake it. SES does not know the sender yet:
    # that message comes again, and does not hold up the other.
    event = aws.woken_by()
    by_mail, by_sms = event["Records"]
    assert notify.invoke(event) == {"batchItemFailures": [{"itemIdentifier": by_mail["dynamodb"]["SequenceNumber"]}]}
    assert aws.arrived("ses", "Message") == []
    assert [it["phone_number"] for it in aws.arrived("sns", "SMS")] == ["+919876543210"]

    aws.client("sesv2").create_email_identity(EmailIdentity=SENDER)
    assert notify.invoke({"Records": [by_mail]}) == {"batchItemFailures": []}
    (mail,) = aws.arrived("ses", "Message")
    assert mail["destinations"] == {"ToAddresses": ["asha@example.org"]}
    assert (mail["source"], mail["subject"]) == (f"Rollcall <{SENDER}>", "Your account is ready")
    assert BASE_URL in mail["body"]

    # What was sent wakes nobody, and if the stream brings all of it again, nothing is sent again.
    assert aws.woken_by() == event
    assert notify.invoke(event) == {"batchItemFailures": []}
    (mail,), (sms,) = aws.arrived("ses", "Message"), aws.arrived("sns", "SMS")

    for name, text in (("asha@example.org", mail["body"]), ("PL2", sms["message"])):
        (password,) = re.findall(PASSWORD, text)
        session = login.invoke(post("/auth/login", {"email": name, "password": password}))
        assert session["statusCode"] == 200, session
        assert json.loads(session["body"])["must_change_password"] is True
