"""The way to the server: where it is, with which token, and what its errors say."""

import os
import sys
from pathlib import Path

import grpc
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from grpc_status import rpc_status

SERVER = os.environ.get("SMARTLINKS_SERVER", "http://127.0.0.1:50051")
TOKEN_FILE = os.environ.get("SMARTLINKS_TOKEN_FILE")


class Token(
    grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor, grpc.StreamStreamClientInterceptor
):
    """Sends the token with every call."""

    def __init__(self, token):
        self.header = ("authorization", f"Bearer {token}")

    def intercept_unary_unary(self, proceed, call, request):
        return proceed(call._replace(metadata=[*(call.metadata or []), self.header]), request)

    intercept_unary_stream = intercept_unary_unary
    intercept_stream_stream = intercept_unary_unary


def connect():
    """Returns a channel to the server; one is enough for a whole program."""
    channel = grpc.insecure_channel(SERVER.removeprefix("http://"))
    if not TOKEN_FILE:
        return channel
    return grpc.intercept_channel(channel, Token(Path(TOKEN_FILE).read_text().strip()))


def details(error):
    """Returns the reason of an error, and the fields at fault."""
    info, bad = ErrorInfo(), BadRequest()
    status = rpc_status.from_call(error)
    for detail in status.details if status else []:
        detail.Unpack(info) or detail.Unpack(bad)
    return info.reason, bad.field_violations


def run(program):
    """Runs a program; a failed call that it does not handle itself ends it with one line."""
    try:
        program()
    except grpc.RpcError as error:
        reason, _ = details(error)
        sys.exit(f"{error.code().name} {reason or f'at {SERVER}'}: {error.details()}")
