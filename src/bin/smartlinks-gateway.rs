//! The door for browsers.

use std::{error::Error, process::ExitCode, thread};

use clap::Parser;
use smartlinks::{config::gateway::GatewayArgs, gateway::Gateway, telemetry::log};
use tokio::{
    runtime,
    signal::{
        ctrl_c,
        unix::{SignalKind, signal},
    },
    sync::watch,
};

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
    let signals = runtime::Builder::new_current_thread().enable_all().build()?;
    let mut terminate = signals.block_on(async { signal(SignalKind::terminate()) })?;
    let (stopper, stop) = watch::channel(false);
    tracing::info!(address = %gateway.address(), "listening");
    thread::spawn(move || {
        signals.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = ctrl_c() => {}
            }
        });
        tracing::info!("stopping");
        stopper.send_replace(true);
    });
    Ok(gateway.run(&stop)?)
}
