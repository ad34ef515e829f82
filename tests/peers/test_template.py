"""Holds template.yaml against what must be true of it, and against the sources of the functions.

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
SOURCES = ROOT / "functions" / "src"
FORTNIGHT_SECONDS = 14 * 24 * 60 * 60
MOST_METRICS_OF_AN_ALARM = 10
UNRESERVED_CONCURRENCY = 100
MOST_SECONDS_OF_A_FUNCTION = 900

# What each function does to the table itself. A transaction is authorised as what is in it: PutItem,
# DeleteItem, ConditionCheckItem. GetItem everybody has, for init warms the connection with it.
# DeleteItem is for an e-mail address, phone or id that may change, and for what is used up: whoever gives a
# customer a Stripe customer applies what is parked for it. That this
# is no more than intended is said here; that it is enough, by every story of tests/api, which run
# under these policies (tests/harness/policy.rs).
VERBS = {
    "intake-submit": "BatchGet Get Put Update Delete",
    "stripe-webhook": "BatchGet Get Query Put Update Delete ConditionCheck",
    "login": "BatchGet Get Query Put Delete",
    "me": "BatchGet Get Query",
    "register": "BatchGet Get Query Put Update",
    "forgot-password": "Get Put Update",
    "reset-password": "Get Put Delete",
    "change-password": "Get Put Delete",
    "logout": "Get Put",
    "update-me": "BatchGet Get Query Put Delete",
    "create-customer": "BatchGet Get Query Put Update Delete ConditionCheck",
    "get-customer": "Get Query",
    "list-customers": "BatchGet Get Query",
    "update-customer": "BatchGet Get Query Put Update Delete ConditionCheck",
    "delete-customer": "BatchGet Get Put Delete",
    "issue-credentials": "Get Put",
    "put-product": "Get Query Put",
    "list-products": "Get Query",
    "check": "BatchGet Get Query Put Update Delete ConditionCheck",
    "track": "BatchGet Get Query Put Update Delete ConditionCheck",
    "dashboard": "Get Put Scan",
    "link-audit": "Get Put Scan",
    "data-quality": "Get Put Scan",
    "billing-customers": "BatchGet Get Query",
    "assign-delivery": "BatchGet Get Query Put ConditionCheck",
    "backfill": "BatchGet Get Query Put Update Delete ConditionCheck Scan",
    "notify": "BatchGet Get Query Put",
}

# What a function is told because of what it needs, and because of what is in its sources.
TOLD_BY_NEED = {
    "JwtKeys": "JWT_KEYS_SECRET_ARN",
    "WebhookSecrets": "STRIPE_WEBHOOK_SECRETS",
    "PublicBaseUrl": "PUBLIC_BASE_URL",
    "CheckoutBaseUrl": "PUBLIC_BASE_URL",
    "MailFrom": "MAIL_FROM",
}
TOLD_BY_SOURCE = {
    "RATE_LIMITS": r"limit_rate\(&",
    "PASSWORD_MIN_LENGTH": r"\bpassword_min_length\b|\.check_password\(",
    "JWT_TTL_SECONDS": r"\bTokenView::sign\(",
    "AUTO_CREATE_CUSTOMERS": r"\bauto_create_customers\b",
    "BACKFILL_INVITES": r"\bbackfill_invites\b",
}
# Whoever opens a checkout, makes what is intended, or ends a subscription: who calls Stripe.
CALLS_STRIPE = ["intake-submit", "create-customer", "delete-customer", "backfill"]
CALL_OF_STRIPE = r"&app\.stripe\b|\bcheckout\.session_for\(|\bstripe_customer::(pursue|resume)\("
# Whoever may give a product that Stripe is to be told of, and leaves the telling to the backfill.
INTENDS = ["stripe-webhook", "register", "update-customer", "check", "track"]
TOLD_ANYWAY = {binary: {"STRIPE_API_KEY"} for binary in CALLS_STRIPE}
TOLD_ANYWAY |= {binary: {"STRIPE_CONFIGURED"} for binary in INTENDS}
TOLD_ANYWAY["intake-submit"] |= {"STRIPE_PRICE_ID"}

# What is counted for whoever looks, and rings for nobody: docs/OPERATIONS.md says when to look.
SILENT = {"ReferencesDrawn", "NumbersDrawn", "DuplicateEvents", "MessagesSent", "MessagesVoided", "MessagesFailed", "BackfillAmbiguous"}

# The environment of a Lambda binary, docs/API.md.
ENVIRONMENT = set(
    """
    TABLE_NAME JWT_KEYS_SECRET_ARN JWT_TTL_SECONDS STRIPE_WEBHOOK_SECRETS STRIPE_API_KEY STRIPE_API_BASE
    STRIPE_CONFIGURED STRIPE_PRICE_ID PUBLIC_BASE_URL CORS_ORIGINS CRN_PREFIX CUSTOMER_NUMBER_PREFIX PLACEHOLDER_EMAIL_DOMAIN
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
    return [f"{it['Method']} {it['Path']}" if "Path" in it else "$default" for it in events]


def table_of_routes():
    """functions/src/routes.rs: of every binary what it needs, and who may call which of its routes."""
    rows = re.split(r"^pub const \w+: Function\b", (SOURCES / "routes.rs").read_text(), flags=re.MULTILINE)[1:]
    route = r'method: "([A-Z]+)",\s*path: "([^"]+)",\s*access: Access::(\w+)'
    return {
        re.search(r'name: "([^"]+)"', row)[1]: {
            "needs": set(re.findall(r"Need::(\w+)", row)),
            "routes": {f"{method} {path}": access for method, path, access in re.findall(route, row)},
        }
        for row in rows
    }


def own_source(binary):
    name = f"{binary.replace('-', '_')}.rs"
    (path,) = [SOURCES / folder / name for folder in ("endpoints", "jobs") if (SOURCES / folder / name).is_file()]
    return path


def source(binary):
    """The text of a function: its file and those of its siblings and helpers that it uses."""
    found, left = {}, [own_source(binary)]
    while left:
        path = left.pop()
        found[path] = text = path.read_text()
        siblings = [path.parent / f"{it}.rs" for it in re.findall(r"^use super::(\w+)", text, re.MULTILINE)]
        helpers = [SOURCES / f"{it}.rs" for it in re.findall(r"^use crate::(\w+)", text, re.MULTILINE)]
        left += [it for it in siblings + helpers if it.is_file() and it not in found]
    return "".join(found.values())


def hashes(binary):
    return bool(re.search(r"\bpasswords\s*\.(hash|verify)\(", source(binary)))


ROUTES = table_of_routes()


def ref(name):
    return {"Ref": name}


def get_att(name, attribute):
    return {"Fn::GetAtt": [name, attribute]}


FUNCTIONS = sorted(functions(written()))
BINARIES = sorted(binary(it) for it in functions(written()).values())
each_function = pytest.mark.parametrize("name", FUNCTIONS)
each_binary = pytest.mark.parametrize("name", BINARIES)


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
    assert BINARIES == sorted(it.stem for it in (SOURCES / "bin").iterdir())
    assert BINARIES == sorted(ROUTES) == sorted(VERBS)


@each_binary
def test_answers_the_routes_of_the_table(template, name):
    (function,) = [it for it in functions(template).values() if binary(it) == name]
    beside = ["$default"] if name == "me" else []
    assert sorted(routes(function)) == sorted([*ROUTES[name]["routes"], *beside])


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


@each_binary
def test_may_do_to_the_table_what_is_meant_and_no_more(template, name):
    table, verbs = get_att("Table", "Arn"), VERBS[name].split()
    (statement,) = [it for it in statements(by_binary(template, name)["Policies"]) if it.get("Resource") == table]
    assert statement["Action"] == [f"dynamodb:{it}" if it in ("Query", "Scan") else f"dynamodb:{it}Item" for it in verbs]


@each_binary
def test_is_told_what_it_uses_and_nothing_else(template, name):
    shared = set(template["Globals"]["Function"]["Environment"]["Variables"])
    own = set(by_binary(template, name).get("Environment", {}).get("Variables", {}))
    assert "TABLE_NAME" in shared
    assert shared | own <= ENVIRONMENT
    needed = {TOLD_BY_NEED[it] for it in ROUTES[name]["needs"]}
    used = {variable for variable, use in TOLD_BY_SOURCE.items() if re.search(use, source(name))}
    assert own == needed | used | TOLD_ANYWAY.get(name, set())


@each_function
def test_may_read_the_keys_exactly_if_told_where_they_are(template, name):
    function = properties(template, name)
    told = "JWT_KEYS_SECRET_ARN" in function["Environment"]["Variables"]
    reads = [it["Resource"] for it in statements(function["Policies"]) if "secretsmanager:GetSecretValue" in it["Action"]]
    assert reads == ([ref("JwtKeysSecretArn")] if told else [])


def test_a_password_may_be_as_short_and_as_long_as_the_configuration_takes(template):
    config = (ROOT / "shared" / "src" / "config.rs").read_text()
    least, most = re.search(r'"PASSWORD_MIN_LENGTH", \|text\| number\(text, (\d+), (\d+)\)', config).groups()
    default = re.search(r"password_min_length: (\d+),", config)[1]
    parameter = template["Parameters"]["PasswordMinLength"]
    assert [parameter["MinValue"], parameter["MaxValue"], parameter["Default"]] == [int(least), int(most), int(default)]


def test_secrets_of_stripe_come_from_secrets_manager_to_whoever_needs_them(template):
    for variable, readers in {"STRIPE_WEBHOOK_SECRETS": ["stripe-webhook"], "STRIPE_API_KEY": CALLS_STRIPE}.items():
        told = {
            binary(it): it["Properties"]["Environment"]["Variables"][variable]
            for it in functions(template).values()
            if variable in it["Properties"]["Environment"]["Variables"]
        }
        assert sorted(told) == sorted(readers)
        assert all("{{resolve:secretsmanager:${" in json.dumps(it) for it in told.values())


def test_who_never_calls_stripe_is_told_whether_others_do_and_has_no_key(template):
    assert {it for it in BINARIES if re.search(CALL_OF_STRIPE, source(it))} == set(CALLS_STRIPE)
    for name in INTENDS:
        told = by_binary(template, name)["Environment"]["Variables"]
        assert told["STRIPE_CONFIGURED"] == {"Fn::If": ["HasStripeApiKey", "true", "false"]}
        assert "{{resolve:secretsmanager:${StripeApiKeySecretId}" not in json.dumps(told)


def test_a_flood_can_starve_nobody_else(template):
    """Reserved for the payment, and for whatever hashes for strangers or for whoever has an account."""
    reserved = {
        binary(it): it["Properties"]["ReservedConcurrentExecutions"]
        for it in functions(template).values()
        if "ReservedConcurrentExecutions" in it["Properties"]
    }
    accesses = {name: set(row["routes"].values()) for name, row in ROUTES.items()}
    hash_for_callers = {it for it in BINARIES if hashes(it) and accesses[it] & {"Public", "SignedIn"}}
    assert hash_for_callers == {"login", "register", "reset-password", "change-password"}
    account = {it: ref("AccountConcurrency") for it in hash_for_callers - {"login"}}
    others = {"login": ref("LoginConcurrency"), "stripe-webhook": ref("WebhookConcurrency"), "backfill": 1}
    assert reserved == account | others


def test_the_reservations_fit_the_usual_quota_and_the_note_says_how_many(template):
    reserved = [it["Properties"].get("ReservedConcurrentExecutions", 0) for it in functions(template).values()]
    total = sum(template["Parameters"][it["Ref"]]["Default"] if isinstance(it, dict) else it for it in reserved)
    note = " ".join((ROOT / "template.yaml").read_text().replace("  # ", " ").split())
    assert f"reserve {total} " in note
    assert f"a quota of {total + UNRESERVED_CONCURRENCY}." in note


@each_binary
def test_has_the_cpu_for_a_hash_exactly_if_it_hashes(template, name):
    memory = by_binary(template, name).get("MemorySize", template["Globals"]["Function"]["MemorySize"])
    assert memory >= 1024 if hashes(name) else memory < 1024


# ---- HTTP API


def test_what_strangers_may_call_is_throttled_by_itself(template):
    api = properties(template, "HttpApi")
    served = {route for it in functions(template).values() for route in routes(it)}
    access = {route: access for row in ROUTES.values() for route, access in row["routes"].items()}
    strangers = {route for route, who in access.items() if who in ("Public", "Signed")}
    assert strangers | {"POST /auth/change-password"} == set(api["RouteSettings"]) <= served
    for limits in [api["DefaultRouteSettings"], *api["RouteSettings"].values()]:
        assert 0 < limits["ThrottlingRateLimit"] <= 100
        assert 0 < limits["ThrottlingBurstLimit"] <= 200


def test_what_no_route_takes_goes_to_a_router_of_ours(template, expanded):
    paths = properties(expanded, "HttpApi")["Body"]["paths"]
    default = paths["$default"]["x-amazon-apigateway-any-method"]
    assert default["isDefaultRoute"] is True
    assert "functions/${MeFunction.Arn}/" in default["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
    # No looser than any other route, and nothing to sign in to: preflights come this way, too.
    assert "$default" not in properties(template, "HttpApi")["RouteSettings"]
    assert "security" not in default
    permission = properties(expanded, "MeFunctionAnythingPermission")
    assert permission["FunctionName"] == ref("MeFunction")
    assert permission["SourceArn"]["Fn::Sub"][0].endswith(":${__ApiId__}/${__Stage__}/*")


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
    assert schedule["DeadLetterConfig"]["Arn"] == get_att("BackfillDeadLetters", "Arn")
    invoke = backfill["EventInvokeConfig"]
    assert invoke["DestinationConfig"]["OnFailure"]["Destination"] == get_att("BackfillDeadLetters", "Arn")
    for retries in (schedule["RetryPolicy"], invoke):
        assert retries["MaximumRetryAttempts"] <= 2
        assert retries["MaximumEventAgeInSeconds"] <= 300


def test_a_run_of_the_backfill_ends_before_the_next_and_none_is_missed_for_silent(template):
    backfill, silent = by_binary(template, "backfill"), properties(template, "BackfillSilent")
    (schedule,) = [it["Properties"]["Schedule"] for it in backfill["Events"].values()]
    assert schedule == {"Fn::Sub": "rate(${BackfillMinutes} minutes)"}
    assert backfill["Timeout"] == {"Fn::FindInMap": ["Backfill", ref("BackfillMinutes"), "Seconds"]}
    parameter, seconds = template["Parameters"]["BackfillMinutes"], template["Mappings"]["Backfill"]
    assert seconds == {str(it): {"Seconds": 60 * it} for it in parameter["AllowedValues"]}
    assert parameter["Default"] in parameter["AllowedValues"]
    assert max(parameter["AllowedValues"]) * 60 <= MOST_SECONDS_OF_A_FUNCTION
    # Two periods in a row hold a run, wherever they begin.
    assert silent["EvaluationPeriods"] >= 2
    assert max(parameter["AllowedValues"]) * 60 <= silent["Period"]


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


@pytest.mark.parametrize("metric", ["Errors", "Throttles"])
def test_every_function_rings_once(template, metric):
    rings = [of["Ref"] for namespace, name, of in watched(template) if (namespace, name) == ('"AWS/Lambda"', metric)]
    assert sorted(rings) == FUNCTIONS


def counted():
    """shared/src/telemetry.rs: the names of what the functions count."""
    telemetry = (ROOT / "shared" / "src" / "telemetry.rs").read_text()
    assert 'NAMESPACE: &str = "Rollcall";' in telemetry
    (variants,) = re.findall(r"^pub enum Metric \{\n(.*?)^\}", telemetry, re.MULTILINE | re.DOTALL)
    return set(re.findall(r"^    (\w+),$", variants, re.MULTILINE))


def test_everything_that_can_stall_rings(template):
    metrics = [(metric, of) for _, metric, of in watched(template)]
    for queue in of_type(template, "AWS::SQS::Queue"):
        assert ("ApproximateNumberOfMessagesVisible", get_att(queue, "QueueName")) in metrics
    names = {metric for metric, _ in metrics}
    assert {"IteratorAge", "5xx", "WebhookServerErrors", "SystemErrors", "WriteThrottleEvents"} <= names


def test_what_the_functions_count_rings_or_is_said_not_to(template):
    ours = {metric for namespace, metric, _ in watched(template) if namespace == '"Rollcall"'}
    assert ours == counted() - SILENT
    assert SILENT <= counted()
    operations = (ROOT / "docs" / "OPERATIONS.md").read_text()
    assert [it for it in counted() if f"`{it}`" not in operations] == []


@pytest.mark.parametrize(
    ("name", "statistic", "period"),
    [
        ("MessagesOverdue", "Maximum", 3600),
        # What fails once may mend by itself: every run of the hour met one.
        ("BackfillErrors", "Minimum", 3600),
        ("UnmatchedPayments", "Sum", 300),
        ("PoisonEvents", "Sum", 300),
        ("CheckoutFailed", "Sum", 300),
        ("StripeRefused", "Sum", 300),
        ("StripeStalled", "Sum", 300),
        ("StripeOrphans", "Sum", 300),
    ],
)
def test_a_count_of_ours_rings_as_soon_as_there_is_one(template, name, statistic, period):
    alarm = properties(template, name)
    assert (alarm["Namespace"], alarm["MetricName"], alarm.get("Dimensions")) == ("Rollcall", name, None)
    assert (alarm["Statistic"], alarm["Period"], alarm["EvaluationPeriods"]) == (statistic, period, 1)
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", 0)
    assert alarm["TreatMissingData"] == "notBreaching"
    assert name in counted()


def dimensions(template, alarm):
    """Of every metric that `alarm` looks at, its name and all dimensions but the table."""
    for it in properties(template, alarm)["Metrics"]:
        if "MetricStat" in it:
            metric = it["MetricStat"]["Metric"]
            yield metric["MetricName"], *[of["Value"] for of in metric["Dimensions"] if of["Name"] != "TableName"]


def test_the_table_rings_for_each_of_its_indexes_and_for_whatever_is_done_to_it(template):
    indexes = [it["IndexName"] for it in properties(template, "Table")["GlobalSecondaryIndexes"]]
    throttled = {(metric, *of) for metric in ("ReadThrottleEvents", "WriteThrottleEvents") for of in [(), *zip(indexes)]}
    assert set(dimensions(template, "TableThrottles")) == throttled
    verbs = {verb for verbs in VERBS.values() for verb in verbs.split()} - {"ConditionCheck"}
    done = {verb if verb in ("Query", "Scan") else f"{verb}Item" for verb in verbs} | {"TransactWriteItems"}
    assert {of for _, of in dimensions(template, "TableSystemErrors")} == done


def test_a_wrong_signing_secret_rings_and_a_stranger_beside_stripe_does_not(template):
    counted = {}
    for filter_ in of_type(template, "AWS::Logs::MetricFilter").values():
        (transformation,) = filter_["Properties"]["MetricTransformations"]
        assert filter_["Properties"]["LogGroupName"] == ref("AccessLogs")
        counted[transformation["MetricName"]] = filter_["Properties"]["FilterPattern"]
    route = '{ ($.route = "POST /api/webhooks/stripe") && ($.status = %d) }'
    assert counted["WebhookRefused"] == route % 400
    assert counted["WebhookAccepted"] == route % 200
    alarm = properties(template, "WebhookRefused")
    (silenced,) = [it["Expression"] for it in alarm["Metrics"] if "Expression" in it]
    assert silenced == "IF(FILL(accepted, 0) == 0, FILL(refused, 0), 0)"
    assert {it["MetricStat"]["Period"] for it in alarm["Metrics"] if "MetricStat" in it} == {3600}


def test_an_event_that_is_parked_rings_unless_it_is_applied_within_the_day(template):
    alarm = properties(template, "ParkedEvents")
    counted = {it["Id"]: it["MetricStat"]["Metric"] for it in alarm["Metrics"] if "MetricStat" in it}
    assert counted["parked"] == {"Namespace": "Rollcall", "MetricName": "ParkedEvents"}
    assert counted["replayed"] == {"Namespace": "Rollcall", "MetricName": "ReplayedEvents"}
    (waiting,) = [it["Expression"] for it in alarm["Metrics"] if "Expression" in it]
    assert waiting == "FILL(parked, 0) - FILL(replayed, 0)"
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", 0)


def test_a_backfill_that_does_not_run_rings(template):
    alarm = properties(template, "BackfillSilent")
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/Lambda", "Invocations")
    assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": ref("BackfillFunction")}]
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)
    assert alarm["TreatMissingData"] == "breaching"


def test_every_alarm_reaches_somebody_and_cloudwatch_takes_it(template):
    for alarm in of_type(template, "AWS::CloudWatch::Alarm").values():
        assert alarm["Properties"]["AlarmActions"] == [
            {"Fn::If": ["MakesAlarmTopic", ref("AlarmTopic"), ref("AlarmTopicArn")]}
        ]
        assert alarm["Properties"]["AlarmDescription"]
        metrics = [it for it in alarm["Properties"].get("Metrics", []) if "MetricStat" in it]
        assert len(metrics) <= MOST_METRICS_OF_AN_ALARM
        returned = [it for it in alarm["Properties"].get("Metrics", []) if it.get("ReturnData", True)]
        assert len(returned) == (1 if metrics else 0)
