"""Holds template.yaml against what the design promises of it.

Reads the template twice: as written, and as CloudFormation gets it after the SAM transform, for a
transform adds roles, policies and permissions that nobody wrote down.
"""

import json
import re
from pathlib import Path

import pytest
from cfnlint.api import lint_all
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
FORTNIGHT_SECONDS = 14 * 24 * 60 * 60

# The environment of a Lambda binary, docs/API.md.
ENVIRONMENT = set(
    """
    TABLE_NAME JWT_KEYS_SECRET_ARN JWT_TTL_SECONDS STRIPE_WEBHOOK_SECRETS STRIPE_API_KEY STRIPE_API_BASE
    STRIPE_PRICE_ID PUBLIC_BASE_URL CORS_ORIGINS CRN_PREFIX CUSTOMER_NUMBER_PREFIX PLACEHOLDER_EMAIL_DOMAIN
    PHONE_DEFAULT_COUNTRY PASSWORD_MIN_LENGTH AUTO_CREATE_CUSTOMERS BACKFILL_INVITES RATE_LIMITS MAIL_FROM
    """.split()
)


def written():
    return yaml_parse((ROOT / "template.yaml").read_text())


@pytest.fixture(scope="module")
def template():
    return written()


@pytest.fixture(scope="module")
def expanded():
    """The template after the SAM transform, parameters at their defaults."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        source = written()
        # `sam package` has put the build there by the time of the transform.
        source["Globals"]["Function"]["CodeUri"] = "s3://artifacts/bootstrap.zip"
        return Translator({}, Parser()).translate(source, parameter_values={})


def of_type(template, kind):
    return {name: it for name, it in template["Resources"].items() if it["Type"] == kind}


def functions(template):
    return of_type(template, "AWS::Serverless::Function")


def properties(template, name):
    return template["Resources"][name]["Properties"]


def binary(function):
    return function["Metadata"]["BuildProperties"]["Binary"]


def by_binary(template, name):
    (found,) = [it for it in functions(template).values() if binary(it) == name]
    return found["Properties"]


def statements(policies):
    return [statement for policy in policies for statement in policy["Statement"]]


def routes(function):
    """What calls a function over HTTP, as the gateway's route keys."""
    events = [it["Properties"] for it in function["Properties"].get("Events", {}).values() if it["Type"] == "HttpApi"]
    return {f"{it['Method']} {it['Path']}" for it in events}


def ref(name):
    return {"Ref": name}


def get_att(name, attribute):
    return {"Fn::GetAtt": [name, attribute]}


FUNCTIONS = sorted(functions(written()))
each_function = pytest.mark.parametrize("name", FUNCTIONS)


def test_what_cloudformation_gets_is_clean(expanded):
    advice = "informational"
    assert [str(it) for it in lint_all(json.dumps(expanded)) if it.rule.severity != advice] == []


# ---- Table


def test_the_table_cannot_be_lost_by_accident(template):
    table = template["Resources"]["Table"]
    assert table["DeletionPolicy"] == "Retain"
    assert table["UpdateReplacePolicy"] == "Retain"
    assert table["Properties"]["DeletionProtectionEnabled"] is True
    assert table["Properties"]["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    assert table["Properties"]["SSESpecification"]["SSEEnabled"] is True


def test_the_table_is_the_one_that_the_store_expects(template):
    def keys(it):
        return [(key["AttributeName"], key["KeyType"]) for key in it["KeySchema"]]

    table = properties(template, "Table")
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert keys(table) == [("pk", "HASH"), ("sk", "RANGE")]
    indexes = {it["IndexName"]: it for it in table["GlobalSecondaryIndexes"]}
    assert sorted(indexes) == ["gsi1", "gsi2", "gsi3"]
    for name, index in indexes.items():
        assert keys(index) == [(f"{name}pk", "HASH"), (f"{name}sk", "RANGE")]
        assert index["Projection"] == {"ProjectionType": "KEYS_ONLY"}
    assert {it["AttributeType"] for it in table["AttributeDefinitions"]} == {"S"}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert table["StreamSpecification"] == {"StreamViewType": "NEW_IMAGE"}


# ---- Functions


def test_each_binary_is_deployed_once(template):
    deployed = sorted(binary(it) for it in functions(template).values())
    assert deployed == sorted(it.stem for it in (ROOT / "functions" / "src" / "bin").iterdir())


@each_function
def test_is_built_by_cargo_lambda(template, name):
    shared = template["Globals"]["Function"]
    assert template["Resources"][name]["Metadata"]["BuildMethod"] == "rust-cargolambda"
    # At the workspace root cargo looks for binaries in the default member only.
    assert (ROOT / shared["CodeUri"] / "Cargo.toml").read_text().find('name = "functions"') > 0
    assert (shared["Handler"], shared["Runtime"]) == ("bootstrap", "provided.al2023")


@each_function
def test_logs_json_into_a_group_of_its_own_with_an_end(template, name):
    group = properties(template, name)["LoggingConfig"]["LogGroup"]["Ref"]
    assert properties(template, group)["RetentionInDays"] == ref("LogRetentionDays")
    users = [it for it in FUNCTIONS if properties(template, it)["LoggingConfig"]["LogGroup"] == ref(group)]
    assert users == [name]
    assert template["Globals"]["Function"]["LoggingConfig"]["LogFormat"] == "JSON"


@each_function
def test_has_a_role_of_its_own_with_nothing_from_a_shelf(expanded, name):
    role = expanded["Resources"][name]["Properties"]["Role"]
    assert role == get_att(f"{name}Role", "Arn")
    (managed,) = properties(expanded, f"{name}Role")["ManagedPolicyArns"]
    assert managed.endswith(":policy/service-role/AWSLambdaBasicExecutionRole")


@each_function
def test_may_do_only_what_is_listed(expanded, name):
    documents = [it["PolicyDocument"] for it in properties(expanded, f"{name}Role")["Policies"]]
    for statement in statements(documents):
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert statement["Effect"] == "Allow"
        assert [it for it in actions if not re.fullmatch(r"[a-z]+:[A-Za-z]+", it)] == []
        if actions == ["sns:Publish"]:
            # An SMS goes to no ARN: all but the topics.
            assert statement["NotResource"] == {"Fn::Sub": "arn:${AWS::Partition}:sns:*:*:*"}
        else:
            assert "*" not in json.dumps(statement["Resource"])


@each_function
def test_reaches_the_table_alone(template, name):
    """Indexes are named one by one, and are only queried."""
    for statement in statements(properties(template, name)["Policies"]):
        actions, resource = statement["Action"], statement.get("Resource")
        if not any(it.startswith("dynamodb:") for it in actions):
            continue
        assert all(it.startswith("dynamodb:") for it in actions)
        if resource == get_att("Table", "StreamArn"):
            assert {it for it in actions if not it.endswith(("Stream", "Streams", "Records", "ShardIterator"))} == set()
        elif resource != get_att("Table", "Arn"):
            assert re.fullmatch(r"\$\{Table\.Arn\}/index/gsi[123]", resource["Fn::Sub"])
            assert actions == ["dynamodb:Query"]


@each_function
def test_is_told_only_documented_variables(template, name):
    shared = set(template["Globals"]["Function"]["Environment"]["Variables"])
    own = set(properties(template, name).get("Environment", {}).get("Variables", {}))
    assert "TABLE_NAME" in shared
    assert shared | own <= ENVIRONMENT


@each_function
def test_may_read_the_keys_exactly_if_told_where_they_are(template, name):
    function = properties(template, name)
    told = "JWT_KEYS_SECRET_ARN" in function["Environment"]["Variables"]
    reads = [it["Resource"] for it in statements(function["Policies"]) if "secretsmanager:GetSecretValue" in it["Action"]]
    assert reads == ([ref("JwtKeysSecretArn")] if told else [])


def test_secrets_of_stripe_come_from_secrets_manager_to_one_function_each(template):
    for variable, reader in {"STRIPE_WEBHOOK_SECRETS": "stripe-webhook", "STRIPE_API_KEY": "intake-submit"}.items():
        told = {
            binary(it): it["Properties"]["Environment"]["Variables"][variable]
            for it in functions(template).values()
            if variable in it["Properties"]["Environment"]["Variables"]
        }
        assert list(told) == [reader]
        assert "{{resolve:secretsmanager:${" in json.dumps(told[reader])


def test_a_login_flood_cannot_starve_the_webhook(template):
    assert by_binary(template, "stripe-webhook")["ReservedConcurrentExecutions"] == ref("WebhookConcurrency")
    assert by_binary(template, "login")["ReservedConcurrentExecutions"] == ref("LoginConcurrency")
    for parameter in ("WebhookConcurrency", "LoginConcurrency"):
        assert 1 <= template["Parameters"][parameter]["Default"] <= 100


@pytest.mark.parametrize("name", ["login", "notify", "issue-credentials"])
def test_functions_that_hash_have_the_cpu_for_it(template, name):
    assert by_binary(template, name)["MemorySize"] >= 1024


# ---- HTTP API


def test_what_strangers_may_call_is_throttled_by_itself(template):
    api = properties(template, "HttpApi")
    served = set().union(*(routes(it) for it in functions(template).values()))
    public = {"POST /api/intake/submit", "POST /api/webhooks/stripe", "POST /auth/login"}
    assert public <= set(api["RouteSettings"]) <= served
    for limits in [api["DefaultRouteSettings"], *api["RouteSettings"].values()]:
        assert 0 < limits["ThrottlingRateLimit"] <= 100
        assert 0 < limits["ThrottlingBurstLimit"] <= 200


def test_no_route_is_served_twice(template):
    served = [route for it in functions(template).values() for route in routes(it)]
    assert sorted(served) == sorted(set(served))


def test_the_access_log_is_json_with_an_end_and_without_an_address(template):
    log = properties(template, "HttpApi")["AccessLogSettings"]
    assert log["DestinationArn"] == get_att("AccessLogs", "Arn")
    assert properties(template, "AccessLogs")["RetentionInDays"] == ref("LogRetentionDays")
    fields = json.loads(log["Format"].replace("$context.status", "200"))
    assert {"requestId", "route", "status"} <= set(fields)
    assert not re.search(r"identity|\.path|authorizer", log["Format"])


def test_cors_is_exact_and_off_by_default(template, expanded):
    assert template["Parameters"]["CorsOrigins"]["Default"] == ""
    condition, cors, otherwise = properties(expanded, "HttpApi")["Body"]["x-amazon-apigateway-cors"]["Fn::If"]
    assert (condition, otherwise) == ("HasCorsOrigins", ref("AWS::NoValue"))
    assert list(cors["allowOrigins"]) == ["Fn::Split"]
    assert cors["allowHeaders"] == ["authorization", "content-type", "idempotency-key"]
    assert cors["exposeHeaders"] == ["Idempotency-Replayed", "Retry-After"]


# ---- Stream, schedule, dead letters


def test_notify_is_woken_by_pending_messages_only(template):
    (filter_,) = properties(template, "NotifyStream")["FilterCriteria"]["Filters"]
    assert json.loads(filter_["Pattern"]) == {
        "eventName": ["INSERT", "MODIFY"],
        "dynamodb": {"NewImage": {"kind": {"S": ["outbox"]}, "state": {"S": ["pending"]}}},
    }


def test_one_bad_message_does_not_hold_up_the_stream(template):
    mapping = properties(template, "NotifyStream")
    assert mapping["EventSourceArn"] == get_att("Table", "StreamArn")
    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BisectBatchOnFunctionError"] is True
    assert 0 <= mapping["MaximumRetryAttempts"] <= 10
    assert 60 <= mapping["MaximumRecordAgeInSeconds"] <= 24 * 60 * 60
    assert mapping["DestinationConfig"]["OnFailure"]["Destination"] == get_att("NotifyDeadLetters", "Arn")


def test_the_schedule_gives_up_and_says_so(template):
    backfill = by_binary(template, "backfill")
    (schedule,) = [it["Properties"] for it in backfill["Events"].values()]
    assert schedule["Schedule"] == "rate(5 minutes)"
    assert schedule["DeadLetterConfig"]["Arn"] == get_att("BackfillDeadLetters", "Arn")
    invoke = backfill["EventInvokeConfig"]
    assert invoke["DestinationConfig"]["OnFailure"]["Destination"] == get_att("BackfillDeadLetters", "Arn")
    for retries in (schedule["RetryPolicy"], invoke):
        assert retries["MaximumRetryAttempts"] <= 2
        assert retries["MaximumEventAgeInSeconds"] <= 300
    assert backfill["Timeout"] <= 300


def test_dead_letters_are_encrypted_and_kept_a_fortnight(template):
    queues = of_type(template, "AWS::SQS::Queue")
    assert sorted(queues) == ["BackfillDeadLetters", "NotifyDeadLetters"]
    for queue in queues.values():
        assert queue["Properties"]["SqsManagedSseEnabled"] is True
        assert queue["Properties"]["MessageRetentionPeriod"] == FORTNIGHT_SECONDS


# ---- Alarms


def watched(template):
    """(namespace, metric, first dimension's value) of everything that an alarm looks at."""
    for alarm in of_type(template, "AWS::CloudWatch::Alarm").values():
        queries = [it["MetricStat"]["Metric"] for it in alarm["Properties"].get("Metrics", []) if "MetricStat" in it]
        for metric in queries or [alarm["Properties"]]:
            dimensions = metric.get("Dimensions", [])
            yield json.dumps(metric["Namespace"]), metric["MetricName"], dimensions[0]["Value"] if dimensions else None


@each_function
def test_errors_and_throttles_ring(template, name):
    metrics = [(metric, of) for namespace, metric, of in watched(template) if namespace == '"AWS/Lambda"']
    assert ("Errors", ref(name)) in metrics
    assert ("Throttles", ref(name)) in metrics


def test_everything_that_can_stall_rings(template):
    metrics = [(metric, of) for _, metric, of in watched(template)]
    for queue in of_type(template, "AWS::SQS::Queue"):
        assert ("ApproximateNumberOfMessagesVisible", get_att(queue, "QueueName")) in metrics
    names = {metric for metric, _ in metrics}
    assert {"IteratorAge", "5xx", "WebhookServerErrors", "SystemErrors", "WriteThrottleEvents"} <= names
    assert ('"Rollcall"', "MessagesOverdue", None) in list(watched(template))


def test_every_alarm_reaches_somebody_and_cloudwatch_takes_it(template):
    for alarm in of_type(template, "AWS::CloudWatch::Alarm").values():
        assert alarm["Properties"]["AlarmActions"] == [
            {"Fn::If": ["MakesAlarmTopic", ref("AlarmTopic"), ref("AlarmTopicArn")]}
        ]
        assert alarm["Properties"]["AlarmDescription"]
        assert len(alarm["Properties"].get("Metrics", [])) <= 11, "ten metrics and the sum"
