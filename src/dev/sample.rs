//! The sample shop's partners and links, made through `LinkAdmin` like anybody's.

use std::time::Duration;

use http::uri::PathAndQuery;
use prost_reflect::DynamicMessage;
use serde_json::{Value, json};
use tokio::time::sleep;
use tonic::{Code, Request, Status, client::Grpc, transport::Channel};

use crate::proto::json::{self, JsonCodec};

/// Calls and their requests in order; `{site_port}` and `{gateway_port}` stand for ports.
const CALLS: &str = include_str!("sample.json");

/// How long is waited before a server that has no index yet is asked again.
const PAUSE: Duration = Duration::from_millis(20);

/// Whether the sample shop was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// It was made just now, and has no clicks yet.
    New,
    /// It is from an earlier start.
    Kept,
}

/// Makes what is missing of the sample; what is there stays as it is, with the changes of whoever tried things out.
pub async fn make(channel: Channel, site_port: u16, gateway_port: u16) -> Result<Sample, String> {
    let text = CALLS
        .replace("{site_port}", &site_port.to_string())
        .replace("{gateway_port}", &gateway_port.to_string());
    let calls: Vec<(String, Value)> =
        serde_json::from_str(&text).map_err(|error| format!("sample data: {error}"))?;
    let (mut written, mut sample) = (0, Sample::New);
    for (name, request) in calls {
        match call(channel.clone(), &name, &request).await {
            Ok(answer) => written = revision(&answer),
            Err(status) if status.code() == Code::AlreadyExists && name == "CreateShop" => {
                sample = Sample::Kept;
                written = follow_ports(&channel, &request["shop"]).await?;
            }
            Err(status) if status.code() == Code::AlreadyExists => {}
            Err(status) => return Err(failed(&name, &status)),
        }
    }
    arrive(&channel, written).await?;
    Ok(sample)
}

/// Waits until clicks are answered from all that was written, so that what is told to be there is there.
async fn arrive(channel: &Channel, written: i64) -> Result<(), String> {
    let lookup = json!({ "purpose": "PURPOSE_LOOKUP", "shop": "sample", "min_revision": written });
    loop {
        match call(channel.clone(), "Resolve", &lookup).await {
            Ok(_) => return Ok(()),
            Err(status) if status.code() == Code::Unavailable => sleep(PAUSE).await,
            Err(status) => return Err(failed("Resolve", &status)),
        }
    }
}

/// Returns the revision that a write was committed under.
fn revision(answer: &DynamicMessage) -> i64 {
    answer.get_field_by_name("revision").and_then(|revision| revision.as_i64()).unwrap_or_default()
}

/// Leads the sample shop to the ports of this start, if it was made on others. Returns the revision of the write.
async fn follow_ports(channel: &Channel, wanted: &Value) -> Result<i64, String> {
    let id = &wanted["id"];
    let held = call(channel.clone(), "GetShop", &json!({ "shop": id })).await;
    let held = held.map_err(|status| failed("GetShop", &status)).and_then(|answer| json::print(&answer))?;
    let held: Value = serde_json::from_str(&held).map_err(|error| error.to_string())?;
    let same = |field: &str| held["shop"][field] == wanted[field];
    if ["base_url", "public_url", "fallback_url"].into_iter().all(same) {
        return Ok(0);
    }
    let shop = json!({
        "id": id,
        "base_url": wanted["base_url"],
        "public_url": wanted["public_url"],
        "fallback_url": wanted["fallback_url"],
    });
    let update = json!({ "shop": shop, "update_mask": "baseUrl,publicUrl,fallbackUrl" });
    let updated = call(channel.clone(), "UpdateShop", &update).await;
    updated.map(|answer| revision(&answer)).map_err(|status| failed("UpdateShop", &status))
}

fn failed(name: &str, status: &Status) -> String {
    format!("sample data: {name}: {}", status.message())
}

pub(super) async fn call(channel: Channel, name: &str, request: &Value) -> Result<DynamicMessage, Status> {
    let method = json::method(name).map_err(Status::internal)?;
    let message = json::parse(&method, &request.to_string()).map_err(Status::internal)?;
    let path =
        PathAndQuery::try_from(json::path(&method)).map_err(|error| Status::internal(error.to_string()))?;
    let mut client = Grpc::new(channel);
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    Ok(client.unary(Request::new(message), path, JsonCodec(method)).await?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_of_the_sample_is_a_request_of_its_method() {
        let text = CALLS.replace("{site_port}", "8081").replace("{gateway_port}", "8080");
        let calls: Vec<(String, Value)> = serde_json::from_str(&text).unwrap();
        assert!(calls.len() > 5);
        for (name, request) in calls {
            let method = json::method(&name).unwrap();
            json::parse(&method, &request.to_string()).unwrap();
        }
    }
}
