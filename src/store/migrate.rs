//! The migrations, which are part of the program.

use diesel::{QueryableByName, migration::MigrationSource, pg::Pg, sql_query, sql_types::Text};
use diesel_async::{AsyncMigrationHarness, RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::{Store, errors::StoreError};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// The advisory lock that keeps two processes from migrating at once: a number that nobody else is likely to use.
const LOCK: i64 = 0x5_3A27_11C5;

#[derive(QueryableByName)]
struct Applied {
    #[diesel(sql_type = Text)]
    version: String,
}

impl Store {
    /// Brings the tables up to date, one process at a time.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let mut connection = self.connections.make_unlimited().await?;
        // The lock goes with the connection, which is closed below.
        connection.batch_execute(&format!("SELECT pg_advisory_lock({LOCK})")).await?;
        let migrated = tokio::task::spawn_blocking(move || {
            AsyncMigrationHarness::new(connection).run_pending_migrations(MIGRATIONS).map(drop)
        });
        migrated.await.map_err(|error| StoreError::Other(error.into()))?.map_err(StoreError::Other)
    }

    /// Returns whether the tables have every migration that this program knows.
    pub async fn schema_is_current(&self) -> Result<bool, StoreError> {
        let mut connection = self.connections.get().await?;
        let tables: Vec<Applied> = sql_query(
            "SELECT tablename::text AS version FROM pg_tables WHERE tablename = '__diesel_schema_migrations'
                AND schemaname = ANY (current_schemas(false))",
        )
        .load(&mut connection)
        .await?;
        if tables.is_empty() {
            return Ok(false);
        }
        let applied: Vec<Applied> =
            sql_query("SELECT version::text FROM __diesel_schema_migrations").load(&mut connection).await?;
        let known = MigrationSource::<Pg>::migrations(&MIGRATIONS).map_err(StoreError::Other)?;
        Ok(known.iter().all(|known| {
            let version = known.name().version().to_string();
            applied.iter().any(|applied| applied.version == version)
        }))
    }
}
