"""Schemathesis walks the OpenAPI document: whatever it makes up within it and beside it, the server
answers what the document says, refuses what the document does not allow, and never fails.

What it makes up is the same in every run. More of it: SCHEMA_EXAMPLES=500.
"""

import json
import os

import pytest
import schemathesis
from conftest import ADMIN_EMAIL, ADMIN_PASSWORD, ROOT, Server
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

EXAMPLES = int(os.environ.get("SCHEMA_EXAMPLES", "25"))
# Every check that it has, but one; those of several requests in a row find nothing to judge here. That what fits the
# schema is taken cannot hold: whether a password is common, an id has the form of one that Rollcall issues or a link is
# still good is decided by rules and rows that no schema spells. The test of bad input holds that what is good is taken.
EXCLUDED = [positive_data_acceptance]


@pytest.fixture(scope="module")
def victim(tmp_path_factory):
    """A server of its own: what is made up here is in nobody's way."""
    server = Server(tmp_path_factory.mktemp("victim"))
    yield server
    assert server.stop() == 0, server.output()


@pytest.fixture
def token(victim):
    """A session for one operation: `logout` ends those of the operations before."""
    answer = victim.login(ADMIN_EMAIL, ADMIN_PASSWORD)
    assert answer.status == 200, answer.text
    return answer.json["token"]


# What `GET /openapi.json` answers, as it is committed: the test runner wants it before there is a server.
DOCUMENT = ROOT / "docs" / "openapi.json"
schema = schemathesis.openapi.from_path(DOCUMENT)


def test_the_server_answers_the_committed_document(victim):
    assert victim.get("/openapi.json").json == json.loads(DOCUMENT.read_text())


@schema.parametrize()
@settings(
    max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
def test_every_operation_answers_what_the_document_says(case, victim, token):
    headers = {"Authorization": f"Bearer {token}"}
    case.call_and_validate(base_url=victim.url, headers=headers, excluded_checks=EXCLUDED)
