//! `smartlinks call`: one call of any service, JSON in and JSON out.

use std::{
    io::{IsTerminal, Read, Write},
    path::PathBuf,
    time::Duration,
};

use http::uri::PathAndQuery;
use prost_reflect::{DynamicMessage, MethodDescriptor};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;

use crate::{
    config::Reader,
    proto::json::{self, JsonCodec},
};

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
    let Some(name) = &args.method else { return list(out).map_err(|error| error.to_string()) };
    let method = json::method(name)?;
    if method.is_client_streaming() {
        return Err(format!("`{name}` takes a stream of requests, which this command cannot send"));
    }
    let mut reader = Reader::default();
    let most = Duration::from_secs(3_600);
    let timeout = reader.duration("--timeout", &args.timeout, Duration::from_millis(1), most);
    let token = match &args.token_file {
        Some(file) => reader.token_file("SMARTLINKS_TOKEN_FILE", file).map(Some),
        None => Some(None),
    };
    let (timeout, token) = reader.finish(timeout.zip(token)).map_err(|faults| faults.to_string())?;

    let mut request = Request::new(json::parse(&method, &request_text(&args)?)?);
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
    let channel = channel.map_err(|error| {
        let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(" ({cause})"));
        format!("no server answers at {}{cause}; is it running?", args.server)
    })?;
    print_answers(channel, &method, request, out).await
}

/// Sends the request and prints every message that comes back: of a stream each on one line, as it comes.
async fn print_answers(
    channel: Channel,
    method: &MethodDescriptor,
    request: Request<DynamicMessage>,
    out: &mut impl Write,
) -> Result<(), String> {
    let path = PathAndQuery::try_from(json::path(method)).map_err(|error| error.to_string())?;
    let mut client = Grpc::new(channel);
    client.ready().await.map_err(|error| error.to_string())?;
    // A unary answer is a stream of one.
    let answers = client.server_streaming(request, path, JsonCodec(method.clone())).await;
    let mut answers = answers.map_err(|status| explain(&status))?.into_inner();
    while let Some(answer) = answers.message().await.map_err(|status| explain(&status))? {
        let text =
            if method.is_server_streaming() { json::print_line(&answer) } else { json::print(&answer) };
        writeln!(out, "{}", text?).and_then(|()| out.flush()).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Writes every call, one a line.
fn list(out: &mut impl Write) -> std::io::Result<()> {
    for method in json::methods() {
        let stream = if method.is_client_streaming() { "   (a stream: not from here)" } else { "" };
        writeln!(out, "{}/{}{stream}", method.parent_service().name(), method.name())?;
    }
    Ok(())
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

/// Tells code, reason, text and the fields at fault.
fn explain(status: &Status) -> String {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| format!(" {}", info.reason)).unwrap_or_default();
    let violations = details.bad_request().map_or(&[][..], |bad| &bad.field_violations);
    let mut text = format!("{:?}{reason}:", status.code());
    // With faults the message tells the first of those that are all listed below.
    if violations.is_empty() {
        text.push_str(&format!(" {}", status.message()));
    }
    if status.code() == Code::Unavailable && reason.is_empty() {
        text.push_str(" (is the server running?)");
    }
    for violation in violations {
        text.push_str(&format!("\n  {}: {}", violation.field, violation.description));
    }
    text
}
