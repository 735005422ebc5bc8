//! The door for browsers.

use std::{error::Error, process::ExitCode, thread};

use clap::Parser;
use smartlinks::{
    config::gateway::GatewayArgs,
    gateway::Gateway,
    telemetry::{log, signal::Signals},
};
use tokio::{runtime, sync::watch};

/// Redirects browsers to where the resolver says.
#[derive(Parser)]
#[command(name = "smartlinks-gateway", version)]
struct Command {
    #[command(flatten)]
    args: GatewayArgs,
}

fn main() -> ExitCode {
    match run(&Command::parse().args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &GatewayArgs) -> Result<(), Box<dyn Error>> {
    let settings = args.read()?;
    log::start(&args.log.log, settings.log_format)?;
    let gateway = Gateway::bind(settings)?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = runtime.block_on(async { Signals::catch() })?;
    let (stopper, stop) = watch::channel(false);
    tracing::info!(address = %gateway.address(), "listening");
    thread::spawn(move || {
        runtime.block_on(signals.next());
        stopper.send_replace(true);
        runtime.block_on(signals.next());
        // Gone with its sender, the delay before the stop is cut short.
    });
    Ok(gateway.run(&stop)?)
}
