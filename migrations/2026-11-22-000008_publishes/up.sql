-- Changes of many links that take effect at once, now or at a time. Those for a time are committed ahead: the links have
-- their new versions here, beside the ones that still answer.

CREATE TABLE publish (
    id bigint PRIMARY KEY,
    shop text COLLATE "C" NOT NULL REFERENCES shop,
    state text COLLATE "C" NOT NULL CHECK (state IN ('pending', 'effective', 'cancelled')),
    effective_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    actor text NOT NULL,
    comment text NOT NULL,
    links integer NOT NULL,
    end_revision bigint,
    ended_at timestamptz,
    end_actor text,
    end_comment text,
    CHECK ((state = 'pending') = (end_revision IS NULL)),
    CHECK ((end_revision IS NULL) = (ended_at IS NULL)),
    CHECK ((end_revision IS NULL) = (end_actor IS NULL)),
    CHECK ((end_revision IS NULL) = (end_comment IS NULL))
);
CREATE INDEX publish_by_shop ON publish (shop, id);
CREATE INDEX publish_pending ON publish (effective_at) WHERE state = 'pending';
COMMENT ON TABLE publish IS 'Changes of many links that take effect at once; none is ever removed.';
COMMENT ON COLUMN publish.id IS 'The revision under which it was committed.';
COMMENT ON COLUMN publish.shop IS 'The shop.';
COMMENT ON COLUMN publish.state IS 'What it is in: pending until its time, then effective; cancelled if somebody took it back before.';
COMMENT ON COLUMN publish.effective_at IS 'The first instant of visits that its versions of the links answer.';
COMMENT ON COLUMN publish.created_at IS 'When it was committed.';
COMMENT ON COLUMN publish.actor IS 'Who asked for it.';
COMMENT ON COLUMN publish.comment IS 'Why, in the words of whoever asked for it.';
COMMENT ON COLUMN publish.links IS 'How many links it changes.';
COMMENT ON COLUMN publish.end_revision IS 'The revision under which it was written into the links, or cancelled; NULL while it is pending.';
COMMENT ON COLUMN publish.ended_at IS 'When that was committed.';
COMMENT ON COLUMN publish.end_actor IS 'Who asked for that: of a publish whose time came, who asked for it.';
COMMENT ON COLUMN publish.end_comment IS 'Why it was cancelled; of a publish whose time came, its own comment.';

CREATE TABLE publish_link (
    publish bigint NOT NULL REFERENCES publish,
    shop text COLLATE "C" NOT NULL,
    slug text COLLATE "C" NOT NULL,
    previous_revision bigint NOT NULL,
    object jsonb NOT NULL,
    pending boolean NOT NULL,
    PRIMARY KEY (publish, slug),
    FOREIGN KEY (shop, slug) REFERENCES link
);
CREATE UNIQUE INDEX publish_link_pending ON publish_link (shop, slug) WHERE pending;
CREATE INDEX publish_link_by_link ON publish_link (shop, slug, publish);
COMMENT ON TABLE publish_link IS 'The links of publishes, each as it is to be.';
COMMENT ON COLUMN publish_link.publish IS 'The publish.';
COMMENT ON COLUMN publish_link.shop IS 'The shop.';
COMMENT ON COLUMN publish_link.slug IS 'The slug of the link.';
COMMENT ON COLUMN publish_link.previous_revision IS 'The revision of the link that was there before: when the publish was committed, and once it is in effect, then.';
COMMENT ON COLUMN publish_link.object IS 'The link as it is to be, whole; the state that it is in stays what it is by then.';
COMMENT ON COLUMN publish_link.pending IS 'Whether the publish is pending: of every link at most one is.';

CREATE TABLE publish_name (
    publish bigint NOT NULL,
    shop text COLLATE "C" NOT NULL,
    slug text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('partner', 'program', 'host')),
    name text COLLATE "C" NOT NULL,
    PRIMARY KEY (publish, slug, kind, name),
    FOREIGN KEY (publish, slug) REFERENCES publish_link
);
CREATE INDEX publish_name_by_name ON publish_name (shop, kind, name, slug);
CREATE INDEX publish_name_by_host ON publish_name (name) WHERE kind = 'host';
COMMENT ON TABLE publish_name IS 'What the links of pending publishes name, in their sharing and in their routing, so that nobody deletes it meanwhile. Derived from publish_link.object; removed when the publish is pending no more.';
COMMENT ON COLUMN publish_name.publish IS 'The publish.';
COMMENT ON COLUMN publish_name.shop IS 'The shop.';
COMMENT ON COLUMN publish_name.slug IS 'The slug of the link.';
COMMENT ON COLUMN publish_name.kind IS 'What the name is of: partner, program or host.';
COMMENT ON COLUMN publish_name.name IS 'The code of the partner, the id of the program, or the host.';

ALTER TABLE history ADD COLUMN publish bigint;
COMMENT ON COLUMN history.publish IS 'The publish that the write is of; NULL for others.';
