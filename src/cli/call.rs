//! `smartlinks call`: one call of any service, JSON in and JSON out.

use std::{
    io::{IsTerminal, Read, Write},
    path::PathBuf,
    time::Duration,
};

use http::uri::PathAndQuery;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, SerializeOptions};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;

use crate::{config::Reader, proto};

/// Flags of `smartlinks call`.
#[derive(Clone, Debug, clap::Args)]
pub struct CallArgs {
    /// The call, `CreateLink` or `LinkAdmin/CreateLink`; without it the calls are listed.
    pub method: Option<String>,
    /// The request as JSON; `-` or nothing = from standard input.
    pub request: Option<String>,
    /// Where the server is.
    #[arg(long, env = "SMARTLINKS_SERVER", default_value = "http://127.0.0.1:50051", value_name = "URL")]
    pub server: String,
    /// A file with the token to call with.
    #[arg(long, env = "SMARTLINKS_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// How long the call may take.
    #[arg(long, default_value = "30s", value_name = "TIME")]
    pub timeout: String,
}

/// Calls a method and prints its answer; an error is what there is to tell the person.
pub async fn run(args: CallArgs, out: &mut impl Write) -> Result<(), String> {
    let pool = DescriptorPool::decode(proto::DESCRIPTORS).map_err(|error| error.to_string())?;
    let Some(name) = &args.method else { return list(&pool, out).map_err(|error| error.to_string()) };
    let method = find(&pool, name)?;
    let mut reader = Reader::default();
    let most = Duration::from_secs(3_600);
    let timeout = reader.duration("--timeout", &args.timeout, Duration::from_millis(1), most);
    let token = match &args.token_file {
        Some(file) => reader.secret_file("SMARTLINKS_TOKEN_FILE", file).map(Some),
        None => Some(None),
    };
    let (timeout, token) = reader.finish(timeout.zip(token)).map_err(|faults| faults.to_string())?;

    let mut request = Request::new(parse(&method, &request_text(&args)?)?);
    request.set_timeout(timeout);
    if let Some(token) = token {
        let value = format!("Bearer {}", token.expose()).parse();
        let value =
            value.map_err(|_| "SMARTLINKS_TOKEN_FILE: the token holds characters that no header may have")?;
        request.metadata_mut().insert("authorization", value);
    }
    let endpoint =
        Endpoint::from_shared(args.server.clone()).map_err(|error| format!("--server: {error}"))?;
    let channel = endpoint.connect_timeout(timeout).connect().await;
    let channel = channel.map_err(|_| format!("no server answers at {}; is it running?", args.server))?;
    print_answers(channel, &method, request, out).await
}

/// Sends the request and prints every message that comes back.
async fn print_answers(
    channel: Channel,
    method: &MethodDescriptor,
    request: Request<DynamicMessage>,
    out: &mut impl Write,
) -> Result<(), String> {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let path = PathAndQuery::try_from(path).map_err(|error| error.to_string())?;
    let mut client = Grpc::new(channel);
    client.ready().await.map_err(|error| error.to_string())?;
    // A unary answer is a stream of one.
    let answers = client.server_streaming(request, path, Json(method.clone())).await;
    let mut answers = answers.map_err(|status| explain(&status))?.into_inner();
    while let Some(answer) = answers.message().await.map_err(|status| explain(&status))? {
        let text = print(&answer)?;
        writeln!(out, "{text}").map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn list(pool: &DescriptorPool, out: &mut impl Write) -> std::io::Result<()> {
    for service in pool.services() {
        for method in service.methods() {
            let stream = if method.is_client_streaming() { "   (a stream: not from here)" } else { "" };
            writeln!(out, "{}/{}{stream}", service.name(), method.name())?;
        }
    }
    Ok(())
}

fn find(pool: &DescriptorPool, name: &str) -> Result<MethodDescriptor, String> {
    let (service, method) =
        name.rsplit_once('/').map_or((None, name), |(service, method)| (Some(service), method));
    let fits = |found: &MethodDescriptor| {
        let parent = found.parent_service();
        found.name() == method
            && service.is_none_or(|name| name == parent.name() || name == parent.full_name())
    };
    let methods: Vec<_> = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
    let Some(found) = methods.iter().find(|found| fits(found)) else {
        let likeness = |found: &&MethodDescriptor| strsim::jaro_winkler(found.name(), method);
        let nearest = methods.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        let nearest = nearest.map_or_else(String::new, |found| format!(", did you mean `{}`", found.name()));
        return Err(format!("there is no call `{name}`{nearest}; `smartlinks call` lists them all"));
    };
    if found.is_client_streaming() {
        return Err(format!("`{name}` takes a stream of requests, which this command cannot send"));
    }
    Ok(found.clone())
}

fn request_text(args: &CallArgs) -> Result<String, String> {
    match args.request.as_deref() {
        Some("-") => {}
        Some(text) => return Ok(text.to_owned()),
        None if std::io::stdin().is_terminal() => return Ok("{}".to_owned()),
        None => {}
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| format!("cannot read standard input: {error}"))?;
    Ok(if text.trim().is_empty() { "{}".to_owned() } else { text })
}

fn parse(method: &MethodDescriptor, text: &str) -> Result<DynamicMessage, String> {
    let wrong =
        |error: serde_json::Error| format!("the request is no JSON of a {}: {error}", method.input().name());
    let mut json = serde_json::Deserializer::from_str(text);
    let message = DynamicMessage::deserialize(method.input(), &mut json).map_err(wrong)?;
    json.end().map_err(wrong)?;
    Ok(message)
}

fn print(message: &DynamicMessage) -> Result<String, String> {
    let options = SerializeOptions::new().use_proto_field_name(true).stringify_64_bit_integers(false);
    let mut json = serde_json::Serializer::pretty(Vec::new());
    message.serialize_with_options(&mut json, &options).map_err(|error| error.to_string())?;
    String::from_utf8(json.into_inner()).map_err(|error| error.to_string())
}

/// Tells code, reason, text and the fields at fault.
fn explain(status: &Status) -> String {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| format!(" {}", info.reason)).unwrap_or_default();
    let mut text = format!("{:?}{reason}: {}", status.code(), status.message());
    if status.code() == Code::Unavailable && reason.is_empty() {
        text.push_str(" (is the server running?)");
    }
    for violation in details.bad_request().iter().flat_map(|bad| &bad.field_violations) {
        text.push_str(&format!("\n  {}: {}", violation.field, violation.description));
    }
    text
}

/// Encodes and decodes messages of a method that is known by its descriptor only.
struct Json(MethodDescriptor);

impl Codec for Json {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self(self.0.clone())
    }

    fn decoder(&mut self) -> Self {
        Self(self.0.clone())
    }
}

impl Encoder for Json {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, message: DynamicMessage, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        prost::Message::encode(&message, to).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for Json {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let message = DynamicMessage::decode(self.0.output(), from);
        message.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> DescriptorPool {
        DescriptorPool::decode(proto::DESCRIPTORS).unwrap()
    }

    #[test]
    fn calls_are_found_by_name_and_a_near_miss_is_told() {
        assert!(find(&pool(), "CreateLink").is_ok());
        assert!(find(&pool(), "LinkAdmin/CreateLink").is_ok());
        assert!(find(&pool(), "smartlinks.v1.LinkAdmin/CreateLink").is_ok());
        assert!(find(&pool(), "LinkResolver/CreateLink").is_err());
        assert!(find(&pool(), "CreatLink").unwrap_err().contains("`CreateLink`"));
        assert!(find(&pool(), "ResolveStream").unwrap_err().contains("stream"));
    }

    #[test]
    fn requests_are_json_of_their_message() {
        let method = find(&pool(), "UpdateLink").unwrap();
        let text = r#"{"link":{"shop":"s","slug":"l"},"updateMask":"defaultDestination"}"#;
        let message = parse(&method, text).unwrap();
        assert!(print(&message).unwrap().contains("\"update_mask\": \"defaultDestination\""));
        for bad in ["", "[]", "{\"lnk\":{}}", "{} {}", "{\"link\":3}"] {
            assert!(parse(&method, bad).is_err(), "{bad}");
        }
    }
}
