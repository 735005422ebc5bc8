//! Connections that read the log: a few of their own, so that whoever streams keeps nobody else from working.

use std::time::Duration;

use deadpool::{
    Runtime,
    managed::{Manager, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult},
};
use tokio::{task::JoinHandle, time::timeout};
use tokio_postgres::{Client, Config, NoTls};

use super::sql_error;
use crate::store::{StoreConfig, errors::StoreError};

/// How many there are at most.
const CONNECTIONS: usize = 4;

/// Lends connections that read.
#[derive(Clone)]
pub(in crate::store) struct Readers {
    pool: Pool<Maker>,
    /// How long a statement may take until its answer is here.
    patience: Duration,
}

/// Makes connections.
struct Maker {
    target: Config,
    statement_timeout: Duration,
}

/// A connection with what drives it.
struct Reader {
    client: Client,
    connection: JoinHandle<()>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Manager for Maker {
    type Type = Reader;
    type Error = StoreError;

    async fn create(&self) -> Result<Reader, StoreError> {
        let connecting = self.target.connect(NoTls).await;
        let (client, connection) = connecting.map_err(|error| StoreError::Unavailable(error.into()))?;
        // What goes wrong with the connection is told to whoever uses it.
        let connection = tokio::spawn(async { connection.await.unwrap_or_default() });
        let reader = Reader { client, connection };
        let settings = format!(
            "SET statement_timeout = {limit}; SET idle_in_transaction_session_timeout = {limit}",
            limit = self.statement_timeout.as_millis()
        );
        reader.client.batch_execute(&settings).await.map_err(sql_error)?;
        Ok(reader)
    }

    async fn recycle(&self, reader: &mut Reader, _: &Metrics) -> RecycleResult<StoreError> {
        // Also ends a transaction that was given up in the middle.
        reader.client.batch_execute("ROLLBACK").await.map_err(|error| RecycleError::Backend(sql_error(error)))
    }
}

impl Readers {
    /// Prepares connections; makes none yet.
    pub(in crate::store) fn new(target: Config, config: &StoreConfig) -> Result<Self, StoreError> {
        let maker = Maker { target, statement_timeout: config.statement_timeout };
        let pool = Pool::builder(maker)
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(config.wait_timeout))
            .create_timeout(Some(config.wait_timeout))
            .recycle_timeout(Some(config.wait_timeout))
            .build()
            .map_err(|error| StoreError::Other(error.into()))?;
        Ok(Self { pool, patience: config.statement_timeout + config.wait_timeout })
    }

    /// Reads over a connection. One that does not answer in time is thrown away.
    pub(super) async fn read<T>(
        &self,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut reader = self.pool.get().await.map_err(pool_error)?;
        match timeout(self.patience, work(&mut reader.client)).await {
            Ok(outcome) => outcome,
            Err(silent) => {
                drop(Object::take(reader));
                Err(StoreError::Unavailable(silent.into()))
            }
        }
    }
}

/// Says what it means to the caller that there is no connection.
fn pool_error(error: PoolError<StoreError>) -> StoreError {
    match error {
        PoolError::Backend(error) => error,
        PoolError::Timeout(_) | PoolError::Closed => StoreError::Unavailable(error.into()),
        PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => StoreError::Other(error.into()),
    }
}
