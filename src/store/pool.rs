//! Connections: how many, how long one waits for them, and what they are told first.

use std::{str::FromStr, sync::Arc, time::Duration};

use deadpool::{Runtime, managed::TimeoutType};
use diesel::ConnectionError;
use diesel_async::{
    AnsiTransactionManager, AsyncPgConnection, SimpleAsyncConnection, TransactionManager,
    pooled_connection::{
        AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod,
        deadpool::{Object, Pool, PoolError},
    },
};
use futures_util::FutureExt;
use tokio_postgres::{Config, NoTls};

use super::{
    StoreConfig,
    errors::{StoreError, pool_error, query_error},
};

/// How long a transaction may be idle in the middle: far beyond what ours need, so that only a program that hangs is
/// cut off. An open transaction holds the row lock on the revision, or keeps dead rows from being removed.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(30);

/// How long a connection is silent before its other end is asked whether it is there, how often it is asked then, and
/// how many times.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;
/// How long what was sent may go without a receipt.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection on loan.
pub(super) type Connection = Object<AsyncPgConnection>;

/// Where connections come from.
#[derive(Clone)]
pub(super) struct Connections {
    pool: Pool<AsyncPgConnection>,
    setup: Arc<Setup>,
}

/// How a connection is made.
struct Setup {
    config: Config,
    statement_timeout: Duration,
}

impl Connections {
    pub(super) fn new(config: &StoreConfig) -> Result<Self, StoreError> {
        let mut target = Config::from_str(&config.url).map_err(|error| StoreError::Other(error.into()))?;
        target
            .application_name(&config.application_name)
            .connect_timeout(config.wait_timeout)
            // A host that vanishes is noticed within half a minute, not within the two hours that are usual.
            .keepalives_idle(KEEPALIVE_IDLE)
            .keepalives_interval(KEEPALIVE_INTERVAL)
            .keepalives_retries(KEEPALIVE_RETRIES)
            .tcp_user_timeout(USER_TIMEOUT);
        let setup = Arc::new(Setup { config: target, statement_timeout: config.statement_timeout });
        let mut manager_config = ManagerConfig::default();
        // Asked for a sign of life before every use: a restart of the database costs its callers nothing.
        manager_config.recycling_method = RecyclingMethod::Verified;
        let of_pool = Arc::clone(&setup);
        manager_config.custom_setup = Box::new(move |_| {
            let setup = Arc::clone(&of_pool);
            async move { setup.connect(setup.statement_timeout).await }.boxed()
        });
        let manager = AsyncDieselConnectionManager::new_with_config("", manager_config);
        let pool = Pool::builder(manager)
            .max_size(config.pool_size)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(config.wait_timeout))
            .create_timeout(Some(config.wait_timeout))
            .recycle_timeout(Some(config.wait_timeout))
            .build()
            .map_err(|error| StoreError::Other(error.into()))?;
        Ok(Self { pool, setup })
    }

    /// Lends a connection; waits for one no longer than it was told to.
    pub(super) async fn get(&self) -> Result<Connection, StoreError> {
        self.pool.get().await.map_err(pool_error)
    }

    /// The same; says nothing if all are in use for as long as one waits.
    pub(super) async fn get_unless_busy(&self) -> Result<Option<Connection>, StoreError> {
        match self.pool.get().await {
            Ok(connection) => Ok(Some(connection)),
            Err(PoolError::Timeout(TimeoutType::Wait)) => Ok(None),
            Err(error) => Err(pool_error(error)),
        }
    }

    /// Makes a connection beside the pool, on which statements may take as long as they want.
    pub(super) async fn make_unlimited(&self) -> Result<AsyncPgConnection, StoreError> {
        self.setup.connect(Duration::ZERO).await.map_err(|error| StoreError::Unavailable(error.into()))
    }

    /// Returns how a connection is made that is not for queries.
    pub(super) fn target(&self) -> &Config {
        &self.setup.config
    }
}

impl Setup {
    async fn connect(&self, statement_timeout: Duration) -> Result<AsyncPgConnection, ConnectionError> {
        let (client, connection) = self
            .config
            .connect(NoTls)
            .await
            .map_err(|error| ConnectionError::BadConnection(describe(&error)))?;
        let mut connection = AsyncPgConnection::try_from_client_and_connection(client, connection).await?;
        let settings = settings(statement_timeout, IDLE_IN_TRANSACTION);
        connection.batch_execute(&settings).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
        Ok(connection)
    }
}

/// Writes what a connection is told first: how long a statement may take, and how long a transaction may be idle. And that
/// PostgreSQL notices as soon as we do that the other end vanished: until then, what it locks stays locked.
pub(super) fn settings(statement: Duration, idle: Duration) -> String {
    // Said by statements and not by connection options, which connection poolers do not pass on. What is asked for again
    // and again is in memory: the default cost of a page reads a whole table where an index finds a tenth of it.
    format!(
        "SET statement_timeout = {}; SET idle_in_transaction_session_timeout = {}; SET tcp_keepalives_idle = {};
         SET tcp_keepalives_interval = {}; SET tcp_keepalives_count = {KEEPALIVE_RETRIES}; SET tcp_user_timeout = {};
         SET random_page_cost = 1.1",
        statement.as_millis(),
        idle.as_millis(),
        KEEPALIVE_IDLE.as_secs(),
        KEEPALIVE_INTERVAL.as_secs(),
        USER_TIMEOUT.as_millis()
    )
}

/// Writes an error with its causes: diesel keeps only the text of it.
fn describe(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// What a transaction begins with.
pub(super) const WRITING: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
/// What a transaction begins with that sees one instant.
pub(super) const ONE_INSTANT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Begins a transaction. A connection that is given back in the middle of one is thrown away.
pub(super) async fn begin(connection: &mut AsyncPgConnection, how: &str) -> Result<(), StoreError> {
    AnsiTransactionManager::begin_transaction_sql(connection, how).await.map_err(query_error)
}

/// Ends a transaction with all that it wrote, if the outcome is good, else without.
pub(super) async fn end<T, E: From<StoreError>>(
    connection: &mut AsyncPgConnection,
    outcome: Result<T, E>,
) -> Result<T, E> {
    match outcome {
        Ok(value) => {
            AnsiTransactionManager::commit_transaction(connection).await.map_err(query_error)?;
            Ok(value)
        }
        Err(error) => {
            // What went wrong before is the news.
            undo(connection).await;
            Err(error)
        }
    }
}

/// Ends a transaction without what it wrote. A connection that cannot even roll back is thrown away.
pub(super) async fn undo(connection: &mut AsyncPgConnection) {
    let _ = AnsiTransactionManager::rollback_transaction(connection).await;
}

/// Converts a number of rows for SQL.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
