"""An analytics job counts every human click that was led to a page once, whatever ends it or its stream in between.

What is erased afterwards stays counted here: numbers name nobody. A job that keeps the clicks themselves has to look at
`message.erasure` and do the same on its side.
"""

import json
import os
import sys
import time
from pathlib import Path

import grpc

from connection import connect, run
from smartlinks.v1.click_stats_pb2 import StreamClicksRequest
from smartlinks.v1.click_stats_pb2_grpc import ClickStatsStub

if len(sys.argv) < 2:
    sys.exit("usage: python analytics_job.py counts.json [--follow]")
STORE, FOLLOW = Path(sys.argv[1]), "--follow" in sys.argv


def load():
    return json.loads(STORE.read_text()) if STORE.exists() else {"token": "", "counts": {}}


def save(have):
    """Counts and token become the new ones together, or not at all."""
    new = STORE.with_suffix(".new")
    with new.open("w") as file:
        json.dump(have, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(STORE)


def count(stats, have):
    """Goes on where the stored token stands."""
    request = StreamClicksRequest(
        after_token=have["token"],
        filter={
            "shop": "sample",
            "traffic_classes": ["TRAFFIC_CLASS_HUMAN"],
            "reasons": ["RESOLVE_REASON_RULE", "RESOLVE_REASON_DEFAULT"],
        },
        follow=FOLLOW,
    )
    for message in stats.StreamClicks(request):
        for click in message.clicks.clicks:
            name = f"{click.slug} {click.partner or '-'}"
            have["counts"][name] = have["counts"].get(name, 0) + 1
        # Also of a heartbeat: what the filter left out is behind it.
        have["token"] = message.token
        save(have)


def main():
    stats = ClickStatsStub(connect())
    while True:
        try:
            # What was not saved is forgotten, and comes again.
            have = load()
            count(stats, have)
            break
        except grpc.RpcError as error:
            # An hour has passed, a server has stopped, the database was away: go on.
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
            print(f"resuming: {error.details()}", file=sys.stderr)
            time.sleep(1)
    for name, clicks in sorted(have["counts"].items()):
        slug, _, partner = name.partition(" ")
        print(f"{slug:<15} {partner:<6} {clicks}")


run(main)
