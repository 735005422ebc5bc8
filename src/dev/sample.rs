//! The sample shop's partners and links, made through `LinkAdmin` like anybody's.

use http::uri::PathAndQuery;
use prost_reflect::DynamicMessage;
use serde_json::{Value, json};
use tonic::{Code, Request, Status, client::Grpc, transport::Channel};

use crate::proto::json::{self, JsonCodec};

/// Calls and their requests in order; `{site_port}` and `{gateway_port}` stand for ports.
const CALLS: &str = include_str!("sample.json");

/// Makes what is missing of the sample; what is there stays as it is, with the changes of whoever tried things out.
pub async fn make(channel: Channel, site_port: u16, gateway_port: u16) -> Result<(), String> {
    let text = CALLS
        .replace("{site_port}", &site_port.to_string())
        .replace("{gateway_port}", &gateway_port.to_string());
    let calls: Vec<(String, Value)> =
        serde_json::from_str(&text).map_err(|error| format!("sample data: {error}"))?;
    for (name, request) in calls {
        match call(channel.clone(), &name, &request).await {
            Ok(_) => {}
            Err(status) if status.code() == Code::AlreadyExists && name == "CreateShop" => {
                follow_ports(&channel, &request["shop"]).await?;
            }
            Err(status) if status.code() == Code::AlreadyExists => {}
            Err(status) => return Err(failed(&name, &status)),
        }
    }
    Ok(())
}

/// Leads the sample shop to the ports of this start, if it was made on others.
async fn follow_ports(channel: &Channel, wanted: &Value) -> Result<(), String> {
    let id = &wanted["id"];
    let held = call(channel.clone(), "GetShop", &json!({ "shop": id })).await;
    let held = held.map_err(|status| failed("GetShop", &status)).and_then(|answer| json::print(&answer))?;
    let held: Value = serde_json::from_str(&held).map_err(|error| error.to_string())?;
    let same = |field: &str| held["shop"][field] == wanted[field];
    if ["base_url", "public_url", "fallback_url"].into_iter().all(same) {
        return Ok(());
    }
    let shop = json!({
        "id": id,
        "base_url": wanted["base_url"],
        "public_url": wanted["public_url"],
        "fallback_url": wanted["fallback_url"],
    });
    let update = json!({ "shop": shop, "update_mask": "baseUrl,publicUrl,fallbackUrl" });
    call(channel.clone(), "UpdateShop", &update).await.map_err(|status| failed("UpdateShop", &status))?;
    Ok(())
}

fn failed(name: &str, status: &Status) -> String {
    format!("sample data: {name}: {}", status.message())
}

async fn call(channel: Channel, name: &str, request: &Value) -> Result<DynamicMessage, Status> {
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
