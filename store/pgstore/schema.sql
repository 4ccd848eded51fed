-- What freshet keeps in PostgreSQL 11 or later. `freshet migrate --store URL` runs this file; who may not create
-- tables has it run by someone who may, once:
--
--     psql --single-transaction --set ON_ERROR_STOP=1 --file schema.sql DATABASE
--
-- Each step does nothing where it has been done before. For another table than freshet_cache (the option
-- "table"), replace that name everywhere.
--
-- From then on a role needs no more than this:
--
--     GRANT SELECT, INSERT, UPDATE, DELETE
--         ON freshet_cache, freshet_cache_journal, freshet_cache_journal_head, freshet_cache_journal_members
--         TO the_role;

-- step: create the table freshet_cache
-- A value is a stored response, compressed already where that pays. CREATE UNLOGGED TABLE (the option "unlogged")
-- makes it cheaper to write; it is then empty after a crash of the server, and on a standby that takes over.
CREATE TABLE IF NOT EXISTS freshet_cache (
    key     text        COLLATE "C" NOT NULL,
    value   bytea       NOT NULL,
    expires timestamptz NOT NULL,
    CONSTRAINT freshet_cache_pkey PRIMARY KEY (key)
) WITH (autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE freshet_cache ALTER COLUMN value SET STORAGE EXTERNAL;
COMMENT ON TABLE freshet_cache IS 'Freshet: stored responses (schema version 1)';

-- step: create the index freshet_cache_expires
-- What has expired is removed by it.
CREATE INDEX IF NOT EXISTS freshet_cache_expires ON freshet_cache (expires);

-- step: create the table freshet_cache_journal
-- Invalidations, by the prefix of the cache that they are for. The number of the mark before shows when one is
-- missing. It stays logged in any case: a lost invalidation is a page that should be gone.
CREATE TABLE IF NOT EXISTS freshet_cache_journal (
    prefix   text     COLLATE "C" NOT NULL,
    number   bigint   NOT NULL,
    previous bigint   NOT NULL,
    kind     smallint NOT NULL,
    soft     boolean  NOT NULL,
    name     bytea    NOT NULL,
    CONSTRAINT freshet_cache_journal_pkey PRIMARY KEY (prefix, number)
);
COMMENT ON TABLE freshet_cache_journal IS 'Freshet: invalidations (schema version 1)';

-- step: create the table freshet_cache_journal_head
-- A row for each journal: its newest number, the newest before the last marks were appended, the newest that it
-- has forgotten, and how many marks it holds, with how many bytes in their names. And a row whose prefix begins with
-- ~timeline~: the server's timeline (0: not known), the number at which the journal began anew, and after which.
CREATE TABLE IF NOT EXISTS freshet_cache_journal_head (
    prefix    text   COLLATE "C" NOT NULL,
    head      bigint NOT NULL,
    previous  bigint NOT NULL,
    forgotten bigint NOT NULL,
    marks     bigint NOT NULL,
    bytes     bigint NOT NULL,
    CONSTRAINT freshet_cache_journal_head_pkey PRIMARY KEY (prefix)
) WITH (fillfactor = 50);
COMMENT ON TABLE freshet_cache_journal_head IS 'Freshet: the newest invalidations (schema version 1)';

-- step: create the table freshet_cache_journal_members
-- The processes that follow a journal: when each renewed its lease, and up to which number it has applied what is
-- there. It stays logged in any case: who is not listed after a crash of the server is not waited for.
CREATE TABLE IF NOT EXISTS freshet_cache_journal_members (
    prefix  text        COLLATE "C" NOT NULL,
    id      text        COLLATE "C" NOT NULL,
    name    bytea       NOT NULL,
    applied numeric(20) NOT NULL,
    renewed timestamptz NOT NULL,
    CONSTRAINT freshet_cache_journal_members_pkey PRIMARY KEY (prefix, id)
) WITH (fillfactor = 50);
COMMENT ON TABLE freshet_cache_journal_members IS 'Freshet: the processes that follow a journal (schema version 1)';
