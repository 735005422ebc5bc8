"""An admin back end makes a link for one partner, edits it, and lists what the partner sees."""

import sys
import time

import grpc

from connection import connect, details, run
from smartlinks.v1.link_admin_pb2 import (
    CreateLinkRequest,
    GetLinkRequest,
    ListPartnerLinksRequest,
    UpdateLinkRequest,
)
from smartlinks.v1.link_admin_pb2_grpc import LinkAdminStub
from smartlinks.v1.link_resolver_pb2 import ResolveRequest
from smartlinks.v1.link_resolver_pb2_grpc import LinkResolverStub

SHOP = "sample"


def main():
    # A slug is never used twice, so every run makes another one unless it is told which.
    slug = sys.argv[1] if len(sys.argv) > 1 else f"sandals-{int(time.time())}"
    channel = connect()
    admin, resolver = LinkAdminStub(channel), LinkResolverStub(channel)

    link = {
        "shop": SHOP,
        "slug": slug,
        "display_name": "Sandals",
        "sharing": {"selected": {"partners": ["ben"]}},
        "default_destination": "sandals",
        "utm": {"source": "{partner}", "campaign": "sandals"},
        "rules": [{"id": "uk", "destination": "//uk/sandals", "when": {"country": {"codes": ["UK"]}}}],
    }

    # Everything wrong is told at once, each fault with the path of its field: for the form that asked for it.
    try:
        admin.CreateLink(CreateLinkRequest(link=link), timeout=10)
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.INVALID_ARGUMENT:
            raise
        reason, faults = details(error)
        print(f"INVALID_ARGUMENT {reason}")
        for fault in faults:
            print(f"  {fault.field}: {fault.description}")

    link["rules"] = [{"id": "uk", "destination": "uk/sandals", "when": {"country": {"codes": ["GB"]}}}]
    created = admin.CreateLink(CreateLinkRequest(link=link), timeout=10)
    print(f"created {slug} under revision {created.revision}")

    # A colleague writes a description in the meantime, without knowing of us.
    described = {"shop": SHOP, "slug": slug, "description": "Every colour."}
    admin.UpdateLink(UpdateLinkRequest(link=described), timeout=10)

    # With the etag that was read, nothing that came in between is overwritten unseen.
    held = created.link
    while True:
        held.default_destination = "sandals/new"
        request = UpdateLinkRequest(link=held, update_mask={"paths": ["default_destination"]})
        try:
            updated = admin.UpdateLink(request, timeout=10)
            break
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.ABORTED:
                raise
            reason, _ = details(error)
            print(f"ABORTED {reason}: read again")
            held = admin.GetLink(GetLinkRequest(shop=SHOP, slug=slug), timeout=10).link
    print(f"edited under revision {updated.revision}, described as {updated.link.description!r}")

    # `min_revision`: the answer knows of the edit, whichever server gives it.
    visit = ResolveRequest(
        purpose="PURPOSE_LOOKUP", shop=SHOP, slug=slug, partner="ben", min_revision=updated.revision
    )
    print(f"leads to {resolver.Resolve(visit, timeout=2).location}")

    # What Ben's portal shows, page by page.
    request = ListPartnerLinksRequest(shop=SHOP, partner="ben", page_size=5)
    while True:
        page = admin.ListPartnerLinks(request, timeout=10)
        for shown in page.links:
            print(f"  {shown.display_name:<20} {shown.url}")
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token


run(main)
