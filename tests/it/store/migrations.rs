//! The tables: there and back, and as the program knows them.

use std::{collections::BTreeMap, fs, path::Path};

use diesel_async::{AsyncConnection, AsyncMigrationHarness, AsyncPgConnection};
use diesel_migrations::{FileBasedMigrations, MigrationHarness};
use smartlinks::store::Put;

use crate::support::{
    database::Database,
    objects::{link, new, put, put_shop},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Everything that a schema is made of, as text.
async fn shape(database: &Database) -> Vec<String> {
    let parts = "
        SELECT 'column ' || table_name || '.' || column_name || ' ' || udt_name || ' ' || is_nullable || ' '
            || coalesce(collation_name, '') || ' ' || coalesce(column_default, '')
        FROM information_schema.columns WHERE table_schema IN ('public', 'clicks') AND table_name <> '__diesel_schema_migrations'
        UNION ALL SELECT 'index ' || indexdef FROM pg_indexes
        WHERE schemaname IN ('public', 'clicks') AND tablename <> '__diesel_schema_migrations'
        UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace IN (to_regnamespace('public'), to_regnamespace('clicks')) AND conrelid <> coalesce(to_regclass('__diesel_schema_migrations'), 0)
        ORDER BY 1";
    database.client().await.query(parts, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

async fn revert_all(database: &Database) {
    let connection = AsyncPgConnection::establish(database.url()).await.unwrap();
    let folder = root().join("migrations");
    tokio::task::spawn_blocking(move || {
        let migrations = FileBasedMigrations::from_path(folder).unwrap();
        AsyncMigrationHarness::new(connection).revert_all_migrations(migrations).unwrap();
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn migrations_go_up_down_and_up_again() {
    let database = Database::create_empty().await;
    let store = database.store();
    assert!(!store.schema_is_current().await.unwrap());
    store.migrate().await.unwrap();
    assert!(store.schema_is_current().await.unwrap());
    let first = shape(&database).await;
    put_shop(&store, "acme").await;
    // A second time there is nothing to do, and nothing is lost.
    store.migrate().await.unwrap();
    put(&store, vec![Put::Link(new(link("acme", "sale")))]).await.unwrap();
    revert_all(&database).await;
    assert_eq!(shape(&database).await, Vec::<String>::new());
    assert!(!store.schema_is_current().await.unwrap());
    store.migrate().await.unwrap();
    assert_eq!(shape(&database).await, first);
    put_shop(&store, "acme").await;
}

#[tokio::test]
async fn processes_that_migrate_at_once_wait_for_each_other() {
    let database = Database::create_empty().await;
    let store = database.store();
    let (one, two, three) = tokio::join!(store.migrate(), store.migrate(), store.migrate());
    one.and(two).and(three).unwrap();
    assert!(store.schema_is_current().await.unwrap());
}

/// What `table!` calls a type of PostgreSQL.
fn diesel_type(udt: &str, nullable: bool) -> String {
    let plain = |udt: &str| match udt {
        "bool" => "Bool",
        "bytea" => "Bytea",
        "date" => "Date",
        "int4" => "Integer",
        "int8" => "BigInt",
        "jsonb" => "Jsonb",
        "text" => "Text",
        "timestamptz" => "Timestamptz",
        "uuid" => "Uuid",
        other => panic!("say what the type {other} is called"),
    };
    let name = match udt.strip_prefix('_') {
        Some(member) => format!("Array<{}>", plain(member)),
        None => plain(udt).to_owned(),
    };
    if nullable { format!("Nullable<{name}>") } else { name }
}

type Tables = BTreeMap<String, (Vec<String>, Vec<(String, String)>)>;

/// Reads `schema.rs`: per table its primary key and its columns with their types.
fn written() -> Tables {
    let text = fs::read_to_string(root().join("src/store/schema.rs")).unwrap();
    let mut tables = Tables::new();
    for table in text.split("diesel::table! {").skip(1) {
        let mut lines = table.lines().map(str::trim).filter(|line| !line.is_empty());
        let (name, key) = lines.next().unwrap().split_once(" (").unwrap();
        let key = key.strip_suffix(") {").unwrap().split(", ").map(str::to_owned).collect();
        let columns = lines.map_while(|line| line.split_once(" -> "));
        let columns =
            columns.map(|(name, of)| (name.to_owned(), of.trim_end_matches(',').to_owned())).collect();
        tables.insert(name.to_owned(), (key, columns));
    }
    tables
}

#[tokio::test]
async fn schema_equals_the_migrated_database() {
    let database = Database::create().await;
    let client = database.client().await;
    let columns = client
        .query(
            "SELECT table_name::text, column_name::text, udt_name::text, is_nullable = 'YES'
             FROM information_schema.columns
             WHERE table_schema = 'public' AND table_name <> '__diesel_schema_migrations'
             ORDER BY table_name, ordinal_position",
            &[],
        )
        .await
        .unwrap();
    let mut tables = Tables::new();
    for row in columns {
        let (table, column, udt): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        tables.entry(table).or_default().1.push((column, diesel_type(&udt, row.get(3))));
    }
    let keys = client
        .query(
            "SELECT conrelid::regclass::text, attname::text FROM pg_constraint, unnest(conkey) WITH ORDINALITY AS key (number, at)
             JOIN pg_attribute ON attnum = number WHERE contype = 'p' AND attrelid = conrelid
                AND connamespace = 'public'::regnamespace ORDER BY conrelid, at",
            &[],
        )
        .await
        .unwrap();
    for row in keys {
        let (table, column): (String, String) = (row.get(0), row.get(1));
        tables.entry(table).or_default().0.push(column);
    }
    tables.remove("__diesel_schema_migrations");
    assert_eq!(tables, written());
}

#[tokio::test]
async fn tables_and_columns_say_what_they_are_for() {
    let database = Database::create().await;
    let silent = "
        SELECT class.relname || coalesce('.' || attribute.attname, '') FROM pg_class AS class
        LEFT JOIN LATERAL (
            SELECT attname, attnum FROM pg_attribute WHERE attrelid = class.oid AND attnum > 0 AND NOT attisdropped
            UNION ALL SELECT NULL, 0
        ) AS attribute ON true
        WHERE class.relnamespace IN ('public'::regnamespace, 'clicks'::regnamespace) AND class.relkind IN ('r', 'p')
            AND class.relname <> '__diesel_schema_migrations'
            AND col_description(class.oid, attribute.attnum) IS NULL
            AND NOT (attribute.attnum = 0 AND obj_description(class.oid, 'pg_class') IS NOT NULL)";
    let silent: Vec<String> =
        database.client().await.query(silent, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(silent, Vec::<String>::new());
}
