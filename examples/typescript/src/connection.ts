// The way to the server: where it is, with which token, and what its errors say.

import { readFileSync } from "node:fs";

import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";

import { BadRequestSchema, ErrorInfoSchema } from "./gen/google/rpc/error_details_pb.js";

const server = process.env.SMARTLINKS_SERVER ?? "http://127.0.0.1:50051";
const tokenFile = process.env.SMARTLINKS_TOKEN_FILE;

/** Returns a transport to the server; one is enough for a whole program. */
export function connect() {
  const token = tokenFile && readFileSync(tokenFile, "utf8").trim();
  const withToken: Interceptor = (next) => (call) => {
    if (token) call.header.set("authorization", `Bearer ${token}`);
    return next(call);
  };
  return createGrpcTransport({ baseUrl: server, interceptors: [withToken] });
}

/** Returns the reason of an error, and the fields at fault. */
export function details(error: ConnectError) {
  const reason = error.findDetails(ErrorInfoSchema)[0]?.reason;
  const faults = error.findDetails(BadRequestSchema).flatMap((bad) => bad.fieldViolations);
  return { reason, faults };
}

/** Runs a program; a failed call that it does not handle itself ends it with one line. */
export async function run(program: () => Promise<void>) {
  try {
    await program();
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    const { reason } = details(error);
    console.error(`${Code[error.code]} ${reason ?? `at ${server}`}: ${error.rawMessage}`);
    process.exitCode = 1;
  }
}
