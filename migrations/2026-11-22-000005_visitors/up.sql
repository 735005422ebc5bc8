-- The keys by which visitors of one day are told apart.

CREATE TABLE visitor_key (
    day date PRIMARY KEY,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE visitor_key IS 'The keys of the hashes that tell visitors of a UTC day from each other: made a day ahead, deleted two days after the day began.';
COMMENT ON COLUMN visitor_key.day IS 'The UTC day.';
COMMENT ON COLUMN visitor_key.sealed IS 'The key, encrypted with the secret of the servers.';
COMMENT ON COLUMN visitor_key.created_at IS 'When the key was made.';
