-- Keys are compared byte by byte (collation "C"): in the order in which the program compares them, whatever the
-- language of the database. Names in lists and searches are folded by the program for the same reason.

CREATE TABLE installation (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    revision bigint NOT NULL DEFAULT 0 CHECK (revision >= 0),
    committed_at timestamptz NOT NULL DEFAULT 'epoch',
    changes_after bigint NOT NULL DEFAULT 0 CHECK (changes_after <= revision)
) WITH (fillfactor = 10);
COMMENT ON TABLE installation IS 'One row. Every transaction that writes objects begins by taking the next revision from it, and so waits for the one before.';
COMMENT ON COLUMN installation.one IS 'Keeps it at one row.';
COMMENT ON COLUMN installation.id IS 'Tells this database from others, so that what was saved from another is not mistaken for ours.';
COMMENT ON COLUMN installation.revision IS 'The revision of the last commit.';
COMMENT ON COLUMN installation.committed_at IS 'The time of the last commit; grows with the revision, whatever the clock does.';
COMMENT ON COLUMN installation.changes_after IS 'The rows of change up to this revision were pruned.';
INSERT INTO installation DEFAULT VALUES;

CREATE TABLE shop (
    id text COLLATE "C" PRIMARY KEY CHECK (id ~ '^[a-z0-9]([a-z0-9_-]{0,62}[a-z0-9])?$'),
    display_name text NOT NULL,
    settings jsonb NOT NULL,
    default_link text COLLATE "C" NOT NULL,
    revision bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz
);
COMMENT ON TABLE shop IS 'Shops, deleted ones included: an id is never used twice.';
COMMENT ON COLUMN shop.id IS 'The id.';
COMMENT ON COLUMN shop.display_name IS 'What people read.';
COMMENT ON COLUMN shop.settings IS 'What the shop decides about its clicks; written and read by the program alone.';
COMMENT ON COLUMN shop.default_link IS 'The slug of the default partner link, which is made with the shop.';
COMMENT ON COLUMN shop.revision IS 'The revision of the last write.';
COMMENT ON COLUMN shop.created_at IS 'When it was created.';
COMMENT ON COLUMN shop.updated_at IS 'When it was last written.';
COMMENT ON COLUMN shop.deleted_at IS 'When it was deleted.';

CREATE TABLE link_host (
    host text COLLATE "C" PRIMARY KEY,
    shop text COLLATE "C" NOT NULL REFERENCES shop DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX link_host_by_shop ON link_host (shop);
COMMENT ON TABLE link_host IS 'Which shop a host serves the links of; a host belongs to one shop. Derived from the settings of shops that exist.';
COMMENT ON COLUMN link_host.host IS 'The host, in small letters, without port.';
COMMENT ON COLUMN link_host.shop IS 'The shop.';

CREATE TABLE shop_destination (
    host text COLLATE "C" NOT NULL,
    shop text COLLATE "C" NOT NULL REFERENCES shop DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (host, shop)
);
CREATE INDEX shop_destination_by_shop ON shop_destination (shop);
COMMENT ON TABLE shop_destination IS 'The hosts that a shop leads to: its pages, the listed hosts, its fallback. None of them may be a link host. Derived from the settings of shops that exist.';
COMMENT ON COLUMN shop_destination.host IS 'The host, in small letters, without port.';
COMMENT ON COLUMN shop_destination.shop IS 'The shop.';

CREATE TABLE program (
    shop text COLLATE "C" NOT NULL REFERENCES shop DEFERRABLE INITIALLY DEFERRED,
    id text COLLATE "C" NOT NULL CHECK (id ~ '^[a-z0-9]([a-z0-9_-]{0,62}[a-z0-9])?$'),
    display_name text NOT NULL,
    revision bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    PRIMARY KEY (shop, id)
);
COMMENT ON TABLE program IS 'Programs, deleted ones included: an id is never used twice in its shop.';
COMMENT ON COLUMN program.shop IS 'The shop.';
COMMENT ON COLUMN program.id IS 'The id.';
COMMENT ON COLUMN program.display_name IS 'What people read.';
COMMENT ON COLUMN program.revision IS 'The revision of the last write.';
COMMENT ON COLUMN program.created_at IS 'When it was created.';
COMMENT ON COLUMN program.updated_at IS 'When it was last written.';
COMMENT ON COLUMN program.deleted_at IS 'When it was deleted.';

-- What a partner or link names is checked by the transaction that writes it; a foreign key would forbid the names that a
-- forced deletion leaves behind, and cost a look-up for each of the 10,000 names of a link.
CREATE TABLE partner (
    shop text COLLATE "C" NOT NULL REFERENCES shop DEFERRABLE INITIALLY DEFERRED,
    code text COLLATE "C" NOT NULL CHECK (code ~ '^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$'),
    aliases text[] NOT NULL,
    display_name text NOT NULL,
    program text COLLATE "C",
    tags text[] NOT NULL,
    active boolean NOT NULL,
    search_text text NOT NULL,
    revision bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    PRIMARY KEY (shop, code)
);
CREATE INDEX partner_by_program ON partner (shop, program, code) WHERE program IS NOT NULL;
CREATE INDEX partner_by_tag ON partner USING gin (tags);
COMMENT ON TABLE partner IS 'Partners, deleted ones included: a code is never used twice in its shop.';
COMMENT ON COLUMN partner.shop IS 'The shop.';
COMMENT ON COLUMN partner.code IS 'The code in its URLs.';
COMMENT ON COLUMN partner.aliases IS 'Older codes that still work.';
COMMENT ON COLUMN partner.display_name IS 'What people read.';
COMMENT ON COLUMN partner.program IS 'The program that it is in.';
COMMENT ON COLUMN partner.tags IS 'Free words for rules.';
COMMENT ON COLUMN partner.active IS 'Whether it is credited.';
COMMENT ON COLUMN partner.search_text IS 'Code, aliases and name in small letters, one per U+001F.';
COMMENT ON COLUMN partner.revision IS 'The revision of the last write.';
COMMENT ON COLUMN partner.created_at IS 'When it was created.';
COMMENT ON COLUMN partner.updated_at IS 'When it was last written.';
COMMENT ON COLUMN partner.deleted_at IS 'When it was deleted.';

CREATE TABLE partner_code (
    shop text COLLATE "C" NOT NULL,
    code text COLLATE "C" NOT NULL CHECK (code ~ '^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$'),
    partner text COLLATE "C" NOT NULL,
    PRIMARY KEY (shop, code),
    FOREIGN KEY (shop, partner) REFERENCES partner DEFERRABLE INITIALLY DEFERRED
);
COMMENT ON TABLE partner_code IS 'Every code and alias that was ever used, and by whom; rows never go away.';
COMMENT ON COLUMN partner_code.shop IS 'The shop.';
COMMENT ON COLUMN partner_code.code IS 'The code or alias; whether it still works is in the row of the partner.';
COMMENT ON COLUMN partner_code.partner IS 'The code of the partner.';

CREATE TABLE link (
    shop text COLLATE "C" NOT NULL REFERENCES shop DEFERRABLE INITIALLY DEFERRED,
    slug text COLLATE "C" NOT NULL CHECK (slug ~ '^[a-z0-9]([a-z0-9_-]{0,62}[a-z0-9])?$'),
    is_default boolean NOT NULL,
    display_name text NOT NULL,
    description text NOT NULL,
    name_key text COLLATE "C" NOT NULL,
    search_text text NOT NULL,
    tags text[] NOT NULL,
    state text NOT NULL CHECK (state IN ('active', 'paused', 'deleted')),
    shared_with_everyone boolean NOT NULL,
    shared_partners integer NOT NULL,
    shared_programs integer NOT NULL,
    routing jsonb NOT NULL,
    revision bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    PRIMARY KEY (shop, slug),
    CHECK ((state = 'deleted') = (deleted_at IS NOT NULL)),
    CHECK (NOT (is_default AND state = 'deleted'))
);
CREATE UNIQUE INDEX link_default ON link (shop) WHERE is_default;
CREATE INDEX link_by_name ON link (shop, name_key, slug);
CREATE INDEX link_by_creation ON link (shop, created_at DESC, slug);
CREATE INDEX link_by_write ON link (shop, revision DESC, slug);
CREATE INDEX link_with_everyone ON link (shop, slug) WHERE shared_with_everyone AND state = 'active';
CREATE INDEX link_by_tag ON link USING gin (tags);
ALTER TABLE shop ADD CONSTRAINT shop_default_link FOREIGN KEY (id, default_link) REFERENCES link (shop, slug)
    DEFERRABLE INITIALLY DEFERRED;
COMMENT ON TABLE link IS 'Links, deleted ones included: a slug is never used twice in its shop.';
COMMENT ON COLUMN link.shop IS 'The shop.';
COMMENT ON COLUMN link.slug IS 'The slug.';
COMMENT ON COLUMN link.is_default IS 'Whether it is the default partner link of its shop.';
COMMENT ON COLUMN link.display_name IS 'What partners see.';
COMMENT ON COLUMN link.description IS 'What partners see below the name.';
COMMENT ON COLUMN link.name_key IS 'The name in small letters: what lists by name are ordered by.';
COMMENT ON COLUMN link.search_text IS 'Slug, name and description in small letters, one per U+001F, then U+001E and the default destination.';
COMMENT ON COLUMN link.tags IS 'Free words to find it by.';
COMMENT ON COLUMN link.state IS 'What it is in: active, paused or deleted.';
COMMENT ON COLUMN link.shared_with_everyone IS 'Whether it is shared with every partner of the shop; then it has no rows in link_share.';
COMMENT ON COLUMN link.shared_partners IS 'How many partners it is shared with by code.';
COMMENT ON COLUMN link.shared_programs IS 'How many programs it is shared with.';
COMMENT ON COLUMN link.routing IS 'What decides where its clicks go: destinations, rules, campaign parameters, times; written and checked by the program, and queries look at its expiry only.';
COMMENT ON COLUMN link.revision IS 'The revision of the last write, its sharing included.';
COMMENT ON COLUMN link.created_at IS 'When it was created.';
COMMENT ON COLUMN link.updated_at IS 'When it was last written.';
COMMENT ON COLUMN link.deleted_at IS 'When it was deleted.';

CREATE TABLE link_share (
    shop text COLLATE "C" NOT NULL,
    slug text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('partner', 'program')),
    name text COLLATE "C" NOT NULL,
    PRIMARY KEY (shop, slug, kind, name)
);
CREATE INDEX link_share_by_name ON link_share (shop, kind, name, slug);
COMMENT ON TABLE link_share IS 'Whom links are shared with, one row per name; written with the row of the link only.';
COMMENT ON COLUMN link_share.shop IS 'The shop.';
COMMENT ON COLUMN link_share.slug IS 'The slug of the link.';
COMMENT ON COLUMN link_share.kind IS 'What the name is of: partner or program.';
COMMENT ON COLUMN link_share.name IS 'The code of the partner or the id of the program.';

CREATE TABLE link_reference (
    shop text COLLATE "C" NOT NULL,
    slug text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('partner', 'program', 'host')),
    name text COLLATE "C" NOT NULL,
    PRIMARY KEY (shop, slug, kind, name)
);
CREATE INDEX link_reference_by_name ON link_reference (shop, kind, name, slug);
CREATE INDEX link_reference_by_host ON link_reference (name) WHERE kind = 'host';
COMMENT ON TABLE link_reference IS 'What the routing of links names: partners and programs in conditions, hosts in absolute destinations. Derived from link.routing, written with the row of the link only.';
COMMENT ON COLUMN link_reference.shop IS 'The shop.';
COMMENT ON COLUMN link_reference.slug IS 'The slug of the link.';
COMMENT ON COLUMN link_reference.kind IS 'What the name is of: partner, program or host.';
COMMENT ON COLUMN link_reference.name IS 'The code of the partner, the id of the program, or the host.';

CREATE TABLE history (
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('shop', 'program', 'partner', 'link')),
    shop text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    revision bigint NOT NULL,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    object jsonb NOT NULL,
    deleted boolean NOT NULL,
    PRIMARY KEY (kind, shop, key, revision)
);
COMMENT ON TABLE history IS 'Every object as it was after every write; written in the transaction of the write.';
COMMENT ON COLUMN history.kind IS 'The kind of object.';
COMMENT ON COLUMN history.shop IS 'The shop.';
COMMENT ON COLUMN history.key IS 'The id, code or slug; empty for a shop.';
COMMENT ON COLUMN history.revision IS 'The revision of the write.';
COMMENT ON COLUMN history.at IS 'When it was written.';
COMMENT ON COLUMN history.actor IS 'Who asked for it.';
COMMENT ON COLUMN history.object IS 'The object, whole.';
COMMENT ON COLUMN history.deleted IS 'Whether it was deleted from then on.';

CREATE TABLE change (
    revision bigint NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('shop', 'program', 'partner', 'link')),
    shop text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (revision, kind, shop, key)
);
COMMENT ON TABLE change IS 'What was written under which revision, for those who follow; pruned after 24 hours.';
COMMENT ON COLUMN change.revision IS 'The revision.';
COMMENT ON COLUMN change.kind IS 'The kind of object.';
COMMENT ON COLUMN change.shop IS 'The shop.';
COMMENT ON COLUMN change.key IS 'The id, code or slug; empty for a shop.';
COMMENT ON COLUMN change.at IS 'When it was written.';

CREATE TABLE request (
    id uuid PRIMARY KEY,
    rpc text NOT NULL,
    fingerprint bytea NOT NULL,
    revision bigint NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX request_by_time ON request (at);
COMMENT ON TABLE request IS 'Calls that may be repeated, and that they were done; pruned after 24 hours.';
COMMENT ON COLUMN request.id IS 'The id that the caller chose.';
COMMENT ON COLUMN request.rpc IS 'The name of the call.';
COMMENT ON COLUMN request.fingerprint IS 'A hash of the request: the same id with another one is refused.';
COMMENT ON COLUMN request.revision IS 'The revision under which it was done.';
COMMENT ON COLUMN request.at IS 'When it was done.';
