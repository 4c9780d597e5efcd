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
COST = "It concerns cost or load. A check would need thousands of requests."
ACCOUNT = "It concerns quotas of the whole account, which a check would use up for other stacks."
UNDOCUMENTED = "No source says what AWS does."

UNTESTED: Final = [
    Untested(
        "6",
        "Without the permission to invoke $connect's function, the status is 500.",
        "It needs a broken deployment beside the others. Emulators have no such permissions.",
        "terraform-aws-apigateway-v2#8",
    ),
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
    Untested(
        "27", "Browsers can't set headers of the handshake.", BROWSER, "websocket-api-cognito#15"
    ),
    Untested(
        "28",
        "Execution logs with data trace contain the query string.",
        CONFIGURATION,
        "websocket-api-cognito#15; SAM#521",
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
        "The sources contradict each other.",
        "notes on bedrock-chat",
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
        "54",
        "Pings of clients may reset the idle timeout.",
        UNDOCUMENTED,
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
        "57",
        "A throttled handshake gets status 429.",
        f"{ACCOUNT} No source says what a throttled message gets.",
        "DG/websocket-api-protect; serverlessunicorn#3",
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
        "Chalice and the emulators have no models.",
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
        "72-74",
        "WAF can't protect a WebSocket API, and nothing limits connections per address.",
        CONFIGURATION,
        "repost.aws/knowledge-center/waf-api-gateway-rate-based-rules",
    ),
    Untested(
        "80",
        "A post's 200 means that the gateway has accepted it, not that the client has it.",
        "It needs a network that drops packets.",
        "simple-websockets-chat-app#44",
    ),
    Untested("81-82", "There is no broadcast: each post is a request.", COST, "API model"),
    Untested(
        "83-84",
        "A post needs the permission execute-api:ManageConnections.",
        "It needs a second role. Most emulators check no permissions.",
        "DG/apigateway-websocket-control-access-iam",
    ),
    Untested(
        "85-87",
        "Messages and connection minutes are charged.",
        "Only the bill shows it.",
        "amnic.com; awsnegotiations.com",
    ),
    Untested(
        "T8",
        "A stage whose throttle settings lack a value refuses all clients with 429.",
        "It is a trap of the Terraform provider, not of the API.",
        "terraform-provider-aws#14742",
    ),
    Untested(
        "T9",
        "DynamoDB's transactions conflict, its indexes lag, and expired items stay readable.",
        "It concerns DynamoDB, not the API.",
        "DynamoDB developer guide, transaction-apis, howitworks-ttl",
    ),
    Untested(
        "T12",
        "Chalice's app.websocket_api uses AWS's URL only.",
        "It concerns Chalice, not the API.",
        "chalice, app.py",
    ),
    Untested(
        "T13",
        "The first connections wait for cold starts of the authorizer and of $connect.",
        "A time isn't a property that a test can compare.",
        "lambda/latest/dg, resource model",
    ),
]
