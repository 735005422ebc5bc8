//! Links as rows of PostgreSQL.

use std::pin::pin;

use futures_util::SinkExt;
use prost::bytes::Bytes;
use smartlinks::index::Record;

use tokio_postgres::NoTls;

use super::database::Database;

/// Rows that go to PostgreSQL together.
const CHUNK: usize = 1_000;
/// What is written; the rest is what it is by default.
const COLUMNS: &str = "shop, slug, is_default, display_name, description, name_key, search_text, tags, state, \
    shared_with_everyone, shared_partners, shared_programs, routing, revision, created_at, updated_at, golden_clicks";

/// Returns how many bytes the table of links takes with these, which all have a name of their own.
pub(crate) async fn size(links: impl Iterator<Item = Record>) -> usize {
    let database = Database::start().await;
    let (client, connection) = tokio_postgres::connect(&database.url, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    // Without keys and indices, which do not count.
    client.batch_execute("CREATE TABLE bare (LIKE link INCLUDING DEFAULTS)").await.expect("a table");
    {
        let mut sink = pin!(
            client.copy_in::<_, Bytes>(&format!("COPY bare ({COLUMNS}) FROM STDIN")).await.expect("a table")
        );
        let mut rows = links.map(|record| row(&record)).peekable();
        while rows.peek().is_some() {
            sink.feed(rows.by_ref().take(CHUNK).collect::<String>().into()).await.expect("rows");
        }
        sink.finish().await.expect("rows");
    }
    client.batch_execute("VACUUM bare").await.expect("a table");
    let size = client.query_one("SELECT pg_table_size('bare')", &[]).await.expect("a size");
    usize::try_from(size.get::<_, i64>(0)).expect("no negative size")
}

/// Writes a link as COPY reads it, in the order of [`COLUMNS`].
fn row(record: &Record) -> String {
    let Record::Link { shop, slug, revision, routing, .. } = record else { panic!("no link: {record:?}") };
    let name = format!("The name of {slug}");
    let search = format!("{slug} {name} {}", routing.default_destination.as_str()).to_lowercase();
    let routing = serde_json::to_string(routing).expect("JSON").replace('\\', "\\\\");
    let (key, time) = (name.to_lowercase(), "2026-06-01 12:00:00+00");
    format!(
        "{shop}\t{slug}\tf\t{name}\t\t{key}\t{search}\t{{}}\tactive\tt\t0\t0\t{routing}\t{}\t{time}\t{time}\t[]\n",
        revision.0
    )
}
