//! The service and its helpers on the command line.

use std::{io::stdout, process::ExitCode};

use clap::Parser;
use smartlinks::{
    cli::call::{self, CallArgs},
    config::{dev::DevArgs, doctor::DoctorArgs, migrate::MigrateArgs, serve::ServeArgs, ship::ShipArgs},
    dev, server,
    telemetry::{log, signal::Signals},
};

/// Referral links that send each click to the page that suits the visitor.
#[derive(Parser)]
#[command(name = "smartlinks", version)]
enum Command {
    /// Serves gRPC: the admin and the resolver service.
    Serve(ServeArgs),
    /// Brings the tables of the database up to date.
    Migrate(MigrateArgs),
    /// Brings the clicks of a server that is gone for ever to PostgreSQL.
    Ship(ShipArgs),
    /// Runs everything on this machine, with a sample shop and a PostgreSQL of its own.
    Dev(DevArgs),
    /// Checks the settings of `serve` and prints those in effect.
    Check(ServeArgs),
    /// Looks at PostgreSQL, the local log and the secrets, and says what is wrong; helps after a restore.
    Doctor(DoctorArgs),
    /// Calls a running server: JSON in, JSON out.
    Call(CallArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    let ran = run(Command::parse()).await.inspect_err(|error| eprintln!("{error}"));
    if ran.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn run(command: Command) -> Result<(), Box<dyn std::error::Error>> {
    match command {
        Command::Serve(args) => {
            let settings = args.read()?;
            log::start(&args.log.log, settings.log_format)?;
            server::run(settings, Signals::catch()?).await?;
        }
        Command::Migrate(args) => {
            let settings = args.read()?;
            log::start(&args.log.log, settings.log_format)?;
            server::migrate(&settings.database).await?;
        }
        Command::Ship(args) => {
            let settings = args.read()?;
            log::start(&args.log.log, settings.log_format)?;
            let mut signals = Signals::catch()?;
            server::ship(settings, signals.next(), &mut stdout()).await?;
        }
        Command::Dev(args) => {
            let settings = args.read()?;
            log::start(&args.log.log, settings.log_format)?;
            let mut signals = Signals::catch()?;
            dev::run(settings, signals.next(), &mut stdout()).await?;
        }
        Command::Doctor(args) => {
            let settings = args.read()?;
            log::start(&args.log.log, settings.log_format)?;
            server::doctor(settings, &mut stdout()).await?;
        }
        Command::Check(args) => args.read()?.print_effective(&mut stdout())?,
        Command::Call(args) => call::run(args, &mut stdout()).await?,
    }
    Ok(())
}
