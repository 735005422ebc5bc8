//! The contracts as Rust types and services, generated from `proto/`.

#![allow(clippy::allow_attributes, clippy::doc_markdown, unreachable_pub)]

pub mod diff;
pub mod json;

tonic::include_proto!("smartlinks.v1");

/// The contracts as an encoded `google.protobuf.FileDescriptorSet`, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
