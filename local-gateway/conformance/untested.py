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
CHALICE = "It concerns Chalice's code, which is the same for all targets."
OTHER_SERVICE = "It concerns another service, not API Gateway."
NO_TIME = "It concerns durations, which vary from run to run."
UNDOCUMENTED = "No source says what AWS does."

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
        "A single user reports it, so there is no certain result to compare with.",
        "notes on bedrock-chat",
    ),
    Untested(
        "37b",
        "The client of a message gets the error frame if Lambda throttles the function.",
        "It needs another function, without concurrency. The local gateway shows it with the fault "
        "lambda_concurrency.",
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
        "54b",
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
        "It needs a second role, without the permission.",
        "DG/apigateway-websocket-control-access-iam",
    ),
    Untested(
        "85-87",
        "Messages and connection minutes are charged.",
        "Only the bill shows it.",
        "amnic.com; awsnegotiations.com",
    ),
    Untested(
        "88-110",
        "DynamoDB has limits per partition, transactions that conflict, and deletes that lag.",
        OTHER_SERVICE,
        "DynamoDB developer guide",
    ),
    Untested(
        "111-120",
        "Cognito's tokens have claims, keys and lifetimes.",
        OTHER_SERVICE,
        "Cognito developer guide",
    ),
    Untested(
        "121-123",
        "A function's memory determines its CPU and the time of its cold starts.",
        NO_TIME,
        "lambda/latest/dg, resource model",
    ),
    Untested(
        "124",
        "A failed asynchronous invocation is repeated after one minute and after two more.",
        "A retry takes a minute, which is too long for a check.",
        "lambda/latest/dg, invocation-async-error-handling",
    ),
    Untested(
        "125",
        "An account can run 1,000 functions at the same time in a region.",
        ACCOUNT,
        "lambda/latest/dg, scaling-behavior",
    ),
    Untested(
        "126-130",
        "Lambda's runtimes have versions, architectures and dates of their end.",
        CONFIGURATION,
        "lambda/latest/dg, lambda-runtimes",
    ),
    Untested(
        "131-148",
        "Terraform and its AWS provider need certain settings for a WebSocket API.",
        CONFIGURATION,
        "Terraform AWS provider, apigatewayv2",
    ),
    Untested(
        "149-156",
        "Chalice has three WebSocket handlers, and no authorizer or route response.",
        CHALICE,
        "chalice, package.py",
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
        "159-165",
        "Chalice has its own sender, policies and packages.",
        CHALICE,
        "chalice, app.py and packager.py",
    ),
    Untested(
        "T1",
        "Without a route response, a returned body sends nothing.",
        "The same as fact 30.",
        "facts 30, 31",
    ),
    Untested(
        "T2",
        "New routes and authorizers take effect with a new deployment.",
        "The same as fact 67.",
        "facts 47, 67",
    ),
    Untested(
        "T3",
        "A refusal has the status of $connect, or 502 or 401.",
        "The same as facts 4, 5 and 7.",
        "facts 4, 5, 7",
    ),
    Untested(
        "T4",
        "An error frame has no details of the error.",
        "The same as fact 35.",
        "fact 35",
    ),
    Untested(
        "T5",
        "Binary frames and long frames close the connection.",
        "The same as facts 48, 50 and 51.",
        "facts 48, 50, 51",
    ),
    Untested(
        "T6",
        "The client gets only the subprotocol that $connect returns.",
        "The same as fact 63.",
        "fact 63",
    ),
    Untested(
        "T7",
        "Without its permission, its token or the right resource, an authorizer refuses clients.",
        "The same as facts 7, 17 and 21. The permission is like that of fact 6.",
        "facts 6, 7, 17, 21",
    ),
    Untested(
        "T8",
        "A stage whose throttle settings lack a value refuses all clients with 429.",
        "The same as fact 57, whose stage has limits of 0.",
        "fact 57",
    ),
    Untested(
        "T9",
        "DynamoDB's transactions conflict, its indexes lag, and expired items stay readable.",
        OTHER_SERVICE,
        "DynamoDB developer guide, transaction-apis, howitworks-ttl",
    ),
    Untested(
        "T11",
        "A post during $connect fails with 410.",
        "The same as fact 2.",
        "fact 2",
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
        NO_TIME,
        "lambda/latest/dg, resource model",
    ),
    Untested(
        "T14",
        "A fetch of Cognito's keys delays the handshake.",
        "It concerns the application's code, not the API.",
        "PyJWT, jwks_client.py",
    ),
    Untested(
        "T16",
        "Chalice's Terraform output excludes current versions of Terraform and its providers.",
        CONFIGURATION,
        "chalice, package.py",
    ),
]
