//! Connections that read the log: a few of their own, so that whoever streams keeps nobody else from working.

use std::time::Duration;

use deadpool::{
    Runtime,
    managed::{Manager, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult},
};
use tokio::time::timeout;
use tokio_postgres::{Client, Config};

use super::{ledger, session::Session, sql_error};
use crate::store::{StoreConfig, errors::StoreError};

/// How many there are at most.
const CONNECTIONS: usize = 4;

/// Lends connections that read.
#[derive(Clone)]
pub(in crate::store) struct Readers {
    pool: Pool<Maker>,
    /// How long a statement may take, and its answer on the way.
    statement: Duration,
    way: Duration,
}

/// Makes connections.
struct Maker {
    target: Config,
    statement_timeout: Duration,
}

impl Manager for Maker {
    type Type = Session;
    type Error = StoreError;

    async fn create(&self) -> Result<Session, StoreError> {
        let session = Session::open(&self.target, self.statement_timeout).await?;
        ledger::follow_cluster(&session).await?;
        Ok(session)
    }

    async fn recycle(&self, session: &mut Session, _: &Metrics) -> RecycleResult<StoreError> {
        // Also ends a transaction that was given up in the middle.
        session.batch_execute("ROLLBACK").await.map_err(|error| RecycleError::Backend(sql_error(error)))
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
        Ok(Self { pool, statement: config.statement_timeout, way: config.wait_timeout })
    }

    /// Reads over a connection. One that does not answer in time is thrown away.
    pub(super) async fn read<T>(
        &self,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.read_much(1, work).await
    }

    /// Reads with so many statements, each of which may take as long as one may: PostgreSQL itself ends one that takes
    /// longer, and only what it says not even then is silence.
    pub(super) async fn read_much<T>(
        &self,
        statements: u32,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut reader = self.pool.get().await.map_err(pool_error)?;
        match timeout(self.statement * statements + self.way, work(&mut reader)).await {
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
