//! The tables as diesel knows them. A test compares them with the migrated database.

diesel::table! {
    installation (one) {
        one -> Bool,
        id -> Uuid,
        revision -> BigInt,
        committed_at -> Timestamptz,
        changes_after -> BigInt,
    }
}

diesel::table! {
    shop (id) {
        id -> Text,
        display_name -> Text,
        settings -> Jsonb,
        default_link -> Text,
        revision -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    link_host (host) {
        host -> Text,
        shop -> Text,
    }
}

diesel::table! {
    shop_destination (host, shop) {
        host -> Text,
        shop -> Text,
    }
}

diesel::table! {
    program (shop, id) {
        shop -> Text,
        id -> Text,
        display_name -> Text,
        revision -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    partner (shop, code) {
        shop -> Text,
        code -> Text,
        aliases -> Array<Text>,
        display_name -> Text,
        program -> Nullable<Text>,
        tags -> Array<Text>,
        active -> Bool,
        search_text -> Text,
        revision -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    partner_code (shop, code) {
        shop -> Text,
        code -> Text,
        partner -> Text,
    }
}

diesel::table! {
    link (shop, slug) {
        shop -> Text,
        slug -> Text,
        is_default -> Bool,
        display_name -> Text,
        description -> Text,
        name_key -> Text,
        search_text -> Text,
        tags -> Array<Text>,
        state -> Text,
        shared_with_everyone -> Bool,
        shared_partners -> Integer,
        shared_programs -> Integer,
        routing -> Jsonb,
        revision -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
        golden_clicks -> Jsonb,
    }
}

diesel::table! {
    link_share (shop, slug, kind, name) {
        shop -> Text,
        slug -> Text,
        kind -> Text,
        name -> Text,
    }
}

diesel::table! {
    link_reference (shop, slug, kind, name) {
        shop -> Text,
        slug -> Text,
        kind -> Text,
        name -> Text,
    }
}

diesel::table! {
    history (kind, shop, key, revision) {
        kind -> Text,
        shop -> Text,
        key -> Text,
        revision -> BigInt,
        at -> Timestamptz,
        actor -> Text,
        object -> Jsonb,
        deleted -> Bool,
        comment -> Text,
        publish -> Nullable<BigInt>,
    }
}

diesel::table! {
    publish (id) {
        id -> BigInt,
        shop -> Text,
        state -> Text,
        effective_at -> Timestamptz,
        created_at -> Timestamptz,
        actor -> Text,
        comment -> Text,
        links -> Integer,
        end_revision -> Nullable<BigInt>,
        ended_at -> Nullable<Timestamptz>,
        end_actor -> Nullable<Text>,
        end_comment -> Nullable<Text>,
    }
}

diesel::table! {
    publish_link (publish, slug) {
        publish -> BigInt,
        shop -> Text,
        slug -> Text,
        previous_revision -> BigInt,
        object -> Jsonb,
        pending -> Bool,
    }
}

diesel::table! {
    publish_name (publish, slug, kind, name) {
        publish -> BigInt,
        shop -> Text,
        slug -> Text,
        kind -> Text,
        name -> Text,
    }
}

diesel::table! {
    change (revision, kind, shop, key) {
        revision -> BigInt,
        kind -> Text,
        shop -> Text,
        key -> Text,
        at -> Timestamptz,
    }
}

diesel::table! {
    request (id) {
        id -> Uuid,
        rpc -> Text,
        fingerprint -> Bytea,
        revision -> BigInt,
        at -> Timestamptz,
    }
}

diesel::table! {
    visitor_key (day) {
        day -> Date,
        sealed -> Bytea,
        created_at -> Timestamptz,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    shop,
    program,
    partner,
    partner_code,
    link,
    link_share,
    link_reference,
    change,
    publish,
    publish_link,
);
