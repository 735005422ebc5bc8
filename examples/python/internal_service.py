"""An internal service asks where visitors should go."""

import grpc

from connection import connect, details, run
from smartlinks.v1.link_resolver_pb2 import Purpose, ResolveReason, ResolveRequest
from smartlinks.v1.link_resolver_pb2_grpc import LinkResolverStub

IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Mobile/15E148 Safari/604.1"
)


def main():
    resolver = LinkResolverStub(connect())

    def resolve(**visit):
        request = ResolveRequest(**visit)
        answer = resolver.Resolve(request, timeout=2)
        print(f"{Purpose.Name(request.purpose)} of {answer.slug}, revision {answer.revision}")
        print(f"  reason    {ResolveReason.Name(answer.reason)} {answer.rule_id}")
        print(f"  partner   {answer.partner or 'nobody'}")
        print(f"  location  {answer.location}")

    # Where would Ben's link lead this customer of ours? Nobody clicks, so nothing is counted.
    resolve(
        purpose="PURPOSE_LOOKUP",
        shop="sample",
        slug="insiders",
        partner="ben",
        attributes={"customer.orders": "12"},
    )

    # A visitor clicked Anna's link: what is known of the request is passed on, raw.
    resolve(
        purpose="PURPOSE_CLICK",
        shop="sample",
        slug="summer-sale",
        partner="anna",
        query="q=sun%20hat",
        client_address="193.99.144.80",
        headers={"user_agent": IPHONE, "accept_language": "de-DE,de;q=0.9"},
    )

    # There may be nowhere to go. The reason says why; other errors are not for this place.
    try:
        resolve(purpose="PURPOSE_LOOKUP", shop="elsewhere", slug="summer-sale")
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.NOT_FOUND:
            raise
        reason, _ = details(error)
        print(f"NOT_FOUND {reason}: {error.details()}")


run(main)
