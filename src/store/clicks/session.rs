//! Connections beside the pool, each of somebody's own: COPY and streams need them, and nobody else's work makes theirs
//! late.

use std::{
    ops::{Deref, DerefMut},
    time::Duration,
};

use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, NoTls};

use super::sql_error;
use crate::store::{errors::StoreError, pool};

/// A connection with what drives it; closed when it is dropped, and with it goes what it locks.
#[derive(Debug)]
pub(super) struct Session {
    client: Client,
    connection: JoinHandle<()>,
}

impl Session {
    /// Connects. No statement may take longer than the limit, and no transaction may be idle for longer.
    pub(super) async fn open(target: &Config, limit: Duration) -> Result<Self, StoreError> {
        let connecting = target.connect(NoTls).await;
        let (client, connection) = connecting.map_err(|error| StoreError::Unavailable(error.into()))?;
        // What goes wrong with the connection is told to whoever uses it.
        let connection = tokio::spawn(async { connection.await.unwrap_or_default() });
        let session = Self { client, connection };
        session.batch_execute(&pool::settings(limit, limit)).await.map_err(sql_error)?;
        Ok(session)
    }
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
