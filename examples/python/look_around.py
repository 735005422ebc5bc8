"""Asks a server whether it is well and what it offers; needs no code made from the contracts."""

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from connection import connect, run


def main():
    channel = connect()
    for service in ["smartlinks.v1.LinkResolver", "smartlinks.v1.LinkAdmin", "smartlinks.v1.ClickStats"]:
        health = HealthStub(channel).Check(HealthCheckRequest(service=service), timeout=2)
        print(f"{service} is {HealthCheckResponse.ServingStatus.Name(health.status)}")

    # The server describes its contracts itself.
    contracts = ProtoReflectionDescriptorDatabase(channel)
    for name in contracts.get_services():
        print(f"offered: {name}")

    # That is enough to call it.
    service = DescriptorPool(contracts).FindServiceByName("smartlinks.v1.LinkResolver")
    method = service.methods_by_name["GetIndexStatus"]
    request, answer = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    ask = channel.unary_unary(
        f"/{service.full_name}/{method.name}", request.SerializeToString, answer.FromString
    )
    status = ask(request(), timeout=2)
    print(f"the index holds {status.links} links at revision {status.revision}")


run(main)
