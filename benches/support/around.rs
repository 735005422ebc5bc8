//! What works on the database of a benchmark.

use std::time::Duration;

use smartlinks::{
    config::{
        LogFormat, Secret,
        clicks::Clicks,
        serve::{Authentication, DatabaseSettings, ServeSettings},
    },
    server::Server,
};
use tokio_postgres::{Client, NoTls};

use super::database::Database;

/// Connects past the store.
pub(crate) async fn client(database: &Database) -> Client {
    let (client, connection) = tokio_postgres::connect(&database.url, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

/// Starts a server on it that records nothing.
pub(crate) async fn serve(database: &Database) -> Server {
    let settings = ServeSettings {
        listen: "127.0.0.1:0".parse().expect("an address"),
        metrics_listen: None,
        database: DatabaseSettings {
            url: Secret::new(&database.url),
            connections: 10,
            wait: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(10),
        },
        authentication: Authentication::Anyone,
        geo_db: None,
        visitor_keys: None,
        split_secret: None,
        state_dir: None,
        clicks: Clicks::Ignore,
        copy_interval: Duration::from_secs(180),
        poll_interval: Duration::from_secs(2),
        compare_interval: Duration::from_secs(600),
        stop_delay: Duration::ZERO,
        drain: Duration::from_secs(1),
        log_format: LogFormat::Text,
    };
    Server::start(settings).await.expect("a server")
}
