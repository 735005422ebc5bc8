//! Stands between a server and PostgreSQL and can cut the wire.

use std::path::PathBuf;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
};

use super::database::Database;

/// A TCP port that leads to PostgreSQL's socket as long as the wire is whole.
pub(crate) struct Proxy {
    url: String,
    wire: watch::Sender<Wire>,
}

/// What the wire is like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wire {
    Whole,
    /// Nothing is closed, and nothing passes.
    Frozen,
    Cut,
}

impl Proxy {
    /// Opens a port in front of a database.
    pub(crate) async fn open(database: &Database) -> Self {
        Self::before(database.url()).await
    }

    /// Opens a port in front of the database with this address.
    pub(crate) async fn before(database_url: &str) -> Self {
        let (before, folder) = database_url.split_once("?host=").unwrap();
        let socket = PathBuf::from(folder).join(".s.PGSQL.5432");
        assert!(socket.exists(), "{} is not there", socket.display());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (wire, seen) = watch::channel(Wire::Whole);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, socket.clone(), seen.clone()));
            }
        });
        let url = before.replace("@/", &format!("@127.0.0.1:{port}/"));
        Self { url, wire }
    }

    /// Returns the address of the database through the port.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Cuts every connection and lets no new one through.
    pub(crate) fn cut(&self) {
        self.wire.send_replace(Wire::Cut);
    }

    /// Lets nothing pass and closes nothing, as when the other machine vanishes.
    pub(crate) fn freeze(&self) {
        self.wire.send_replace(Wire::Frozen);
    }

    /// Lets new connections through again; those that were cut or frozen are lost.
    pub(crate) fn mend(&self) {
        self.wire.send_replace(Wire::Whole);
    }
}

/// Passes bytes on while the wire is whole.
async fn pass(mut client: TcpStream, socket: PathBuf, mut wire: watch::Receiver<Wire>) {
    // Dropped, the client sees a connection that is closed at once.
    let is_whole = *wire.borrow_and_update() == Wire::Whole;
    if is_whole {
        let Ok(mut server) = UnixStream::connect(socket).await else { return };
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => return,
            _ = wire.wait_for(|wire| *wire != Wire::Whole) => {}
        }
    }
    if *wire.borrow() == Wire::Frozen {
        let _ = wire.wait_for(|wire| *wire != Wire::Frozen).await;
    }
}
