"""Leads a link of the sample shop elsewhere: python edit_link.py summer-sale sale/winter"""

import sys

from connection import connect, run
from smartlinks.v1.link_admin_pb2 import UpdateLinkRequest
from smartlinks.v1.link_admin_pb2_grpc import LinkAdminStub


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    slug, destination = sys.argv[1:]
    link = {"shop": "sample", "slug": slug, "default_destination": destination}
    request = UpdateLinkRequest(link=link, update_mask={"paths": ["default_destination"]})
    updated = LinkAdminStub(connect()).UpdateLink(request, timeout=10)
    print(f"{slug} leads to {destination!r} from revision {updated.revision} on")


run(main)
