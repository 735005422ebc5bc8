//! Stands between a server and PostgreSQL and can cut the wire.

use std::path::PathBuf;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, UnixStream},
    sync::watch,
};

use super::database::Database;

/// A TCP port that leads to PostgreSQL's socket as long as the wire is whole.
pub(crate) struct Proxy {
    url: String,
    whole: watch::Sender<bool>,
}

impl Proxy {
    /// Opens a port in front of a database.
    pub(crate) async fn open(database: &Database) -> Self {
        let (before, folder) = database.url().split_once("?host=").unwrap();
        let socket = PathBuf::from(folder).join(".s.PGSQL.5432");
        assert!(socket.exists(), "{} is not there", socket.display());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (whole, seen) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut seen = seen.clone();
                if !*seen.borrow_and_update() {
                    // Dropped: the client sees a connection that is closed at once.
                    continue;
                }
                let socket = socket.clone();
                tokio::spawn(async move {
                    let Ok(mut server) = UnixStream::connect(socket).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        _ = seen.wait_for(|whole| !whole) => {}
                    }
                });
            }
        });
        let url = before.replace("@/", &format!("@127.0.0.1:{port}/"));
        Self { url, whole }
    }

    /// Returns the address of the database through the port.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Cuts every connection and lets no new one through.
    pub(crate) fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// Lets connections through again.
    pub(crate) fn mend(&self) {
        self.whole.send_replace(true);
    }
}
