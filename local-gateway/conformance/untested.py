"""The facts that the suite can't check, with the reasons."""

from typing import Final, NamedTuple


class Untested(NamedTuple):
    """A fact without a check.

    Attributes:
        number: The fact's number.
        statement: What AWS does.
        reason: Why the suite doesn't check it.
        source: Where it is documented or reported.
    """

    number: str
    statement: str
    reason: str
    source: str


CONFIGURATION = "It concerns the configuration, which neither a client nor a function sees."
BROWSER = "It concerns the browser's API. The suite's client isn't a browser."
ACCOUNT = "It concerns quotas of the whole account, which a check would use up for other stacks."
CHALICE = "It concerns Chalice's code, which is the same for all targets."
EMBEDDED = "The embedded DynamoDB is ministack's. A check would test ministack, not the gateway."
PERMISSIONS = "It needs another variant on AWS. The local gateway has no permissions."

NOTES = "notes of DPenniket on bedrock-chat, without an address"
SAMPLE = "aws-samples/websocket-api-cognito-auth-sample#15"

UNTESTED: Final = [
    Untested(
        "8",
        "WebSocket APIs have no gateway responses, which would replace a refusal's status or body.",
        CONFIGURATION,
        "re:Post QUaWyP198zQpSVDDd_YlNE8g",
    ),
    Untested(
        "11",
        "Browsers hide the status and the body of a refused handshake.",
        BROWSER,
        "websockets/ws#1745; versatica/protoo#10",
    ),
    Untested(
        "13",
        "A non-proxy HTTP integration of $connect always connects.",
        "It needs an HTTP server that AWS can reach. Chalice has no such integrations.",
        "re:Post QU8pVByT1jRvW3hb4MD6UtoQ",
    ),
    Untested(
        "15",
        "Only $connect can have an authorizer, of type AWS_IAM or CUSTOM.",
        CONFIGURATION,
        "API model",
    ),
    Untested(
        "18",
        "Identity sources have the form route.request.querystring.Name.",
        CONFIGURATION,
        "API model",
    ),
    Untested(
        "26",
        "A changed authorizer doesn't affect connected clients.",
        "It needs a deployment during the check. Fact 25 is its visible part.",
        "DG/apigateway-websocket-api-lambda-auth",
    ),
    Untested("27", "Browsers can't set headers of the handshake.", BROWSER, SAMPLE),
    Untested(
        "28",
        "Execution logs with data trace contain the query string.",
        CONFIGURATION,
        SAMPLE,
    ),
    Untested(
        "29",
        "$connect can require an API key.",
        "It needs a usage plan, which Chalice's projects don't have.",
        "DG/websocket-api-develop-routes",
    ),
    Untested(
        "36",
        "A status other than 2xx of a two-way route may be replaced by the error frame.",
        "A single user reports it, so there is no certain result to compare with.",
        NOTES,
    ),
    Untested(
        "37b",
        "The client of a message gets the error frame if Lambda throttles the function.",
        "It needs another function, without concurrency. The local gateway shows it with the fault "
        "lambda_concurrency.",
        NOTES,
    ),
    Untested(
        "38",
        "A gateway's error frame has no application type, by which clients can tell it.",
        "It is a consequence of fact 35, which has a check.",
        "fact 35",
    ),
    Untested(
        "41",
        "A lost network causes no $disconnect before the idle timeout.",
        "It needs a network that drops packets, and 10 minutes.",
        "simple-websockets-chat-app#27",
    ),
    Untested(
        "54b",
        "Pings of clients may reset the idle timeout.",
        "No source says what AWS does.",
        "andyrichardson/subscriptionless#3",
    ),
    Untested(
        "55",
        "An account can open 500 connections per second in a region.",
        ACCOUNT,
        "DG/apigateway-execution-service-websocket-limits-table",
    ),
    Untested(
        "56",
        "An account can handle 10,000 requests per second, including @connections.",
        ACCOUNT,
        "DG/limits",
    ),
    Untested(
        "58",
        "The integration timeout is 29 seconds and fixed.",
        "Fact 37 checks its effect. That it is fixed concerns the configuration.",
        "DG/apigateway-execution-service-websocket-limits-table",
    ),
    Untested(
        "64",
        "A message that fails the route's model gets the frame Bad request body.",
        "It needs a model, which Chalice and the local gateway don't have.",
        "DG/apigateway-websocket-api-routes-integrations",
    ),
    Untested("65", "Stage variables and stage names have a syntax.", CONFIGURATION, "API model"),
    Untested(
        "67",
        "A change takes effect with a new deployment.",
        "It needs deployments during the check.",
        "DG/apigateway-set-up-websocket-deployment",
    ),
    Untested(
        "68-70",
        "Access logs, execution logs and metrics have fixed fields and limits.",
        CONFIGURATION,
        "DG/websocket-api-logging",
    ),
    Untested(
        "71",
        "The callback URL of a custom domain has no stage.",
        "It needs a domain and a certificate.",
        "DG/websocket-api-custom-domain-names",
    ),
    Untested(
        "72",
        "AWS WAF can't protect a WebSocket API.",
        "It concerns what AWS WAF accepts. A check would need a web ACL, which AWS charges for.",
        "repost.aws/knowledge-center/waf-api-gateway-rate-based-rules",
    ),
    Untested(
        "73",
        "Nothing limits the connections of one address.",
        "No number of connections proves that there is no limit.",
        "inferred from fact 72",
    ),
    Untested(
        "74",
        "An API can have IPv6 addresses.",
        "It needs a client with IPv6, which many networks don't have.",
        "API model",
    ),
    Untested(
        "80",
        "A post's 200 means that the gateway has accepted it, not that the client has it.",
        "It needs a network that drops packets.",
        "simple-websockets-chat-app#44",
    ),
    Untested(
        "81-82",
        "There is no broadcast: each post is a request.",
        "There is no operation that a check could call.",
        "API model",
    ),
    Untested(
        "83-84",
        "A post needs the permission execute-api:ManageConnections.",
        "It needs a second role, without the permission.",
        "DG/apigateway-websocket-control-access-iam",
    ),
    Untested(
        "85-87",
        "Messages and connection minutes are charged.",
        "Only the bill shows it.",
        "aws.amazon.com/api-gateway/pricing",
    ),
    Untested(
        "94",
        "A transaction that overlaps another one fails with TransactionConflict.",
        EMBEDDED,
        "DynamoDB developer guide, transaction-apis",
    ),
    Untested(
        "97",
        "The reasons of a cancelled transaction contain the code None for items without an error.",
        EMBEDDED,
        "botocore's service model of dynamodb",
    ),
    Untested(
        "99",
        "A deletion returns the old item, so a second one can be told from the first.",
        EMBEDDED,
        "inferred from facts 40 and 93",
    ),
    Untested(
        "108",
        "A failed condition returns the item if the request asks for it.",
        EMBEDDED,
        "botocore's service model of dynamodb",
    ),
    Untested(
        "124",
        "Lambda repeats a failed asynchronous invocation after one minute and after two more.",
        "A retry takes a minute, which is too long for a check. The local gateway doesn't repeat "
        "the invocation.",
        "lambda/latest/dg, invocation-async-error-handling",
    ),
    Untested(
        "125",
        "An account can run 1,000 functions at the same time in a region.",
        f"{ACCOUNT} The local gateway shows it with the fault lambda_concurrency.",
        "lambda/latest/dg, scaling-behavior",
    ),
    Untested(
        "134",
        "A stage whose throttle settings lack a value refuses all clients with 429.",
        "Fact 57 checks the effect: its stage has limits of 0.",
        "terraform-provider-aws#14742",
    ),
    Untested(
        "137",
        "If the API may not invoke the authorizer's function, the handshake's status is 500.",
        PERMISSIONS,
        "aws-cdk#11766",
    ),
    Untested(
        "138",
        "A permission for API/*/*/ROUTE doesn't match, because the ARN is API/STAGE/ROUTE.",
        PERMISSIONS,
        "aws-cdk#22940; terraform-aws-apigateway-v2#8",
    ),
    Untested(
        "157",
        "Chalice's WebsocketEvent has no headers, and replaces a missing body by the text None.",
        CHALICE,
        "chalice, app.py",
    ),
    Untested(
        "158",
        "Chalice adds the status 200 to a handler's result.",
        CHALICE,
        "chalice, app.py",
    ),
    Untested(
        "159",
        "Chalice's app.websocket_api uses AWS's URL only.",
        f"{CHALICE} The local gateway gives it its own URL.",
        "chalice, app.py",
    ),
    Untested(
        "T13",
        "The first connections wait for cold starts of the authorizer and of $connect.",
        "It concerns durations, which vary from run to run.",
        "Lambda developer guide",
    ),
]

REPEATED: Final = {
    "T1": ("30",),
    "T2": ("67",),
    "T3": ("4", "5", "7"),
    "T4": ("35",),
    "T5": ("48", "50", "51"),
    "T6": ("63",),
    "T7": ("7", "17", "21"),
    "T8": ("57",),
    "T9": ("94",),
    "T11": ("2",),
    "T12": ("159",),
}
"""The facts that others repeat, by the others' numbers."""

UNRELATED: Final = {
    "DynamoDB": ("88-93", "95-96", "98", "100-107", "109-110"),
    "Cognito": ("111-120", "T14"),
    "Lambda's memory, prices and runtimes": ("121-123", "126-130"),
    "Terraform": ("131-133", "135-136", "139-148", "T16"),
    "Chalice's commands and packages": ("149-156", "160-165"),
}
"""The facts that neither a client nor a handler of a WebSocket API sees, by their subject."""
