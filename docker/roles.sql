-- Two roles in place of a superuser. Run it as a superuser, in the database of the studies, by psql:
--
--     psql -d search -f docker/roles.sql
--     \password search_owner
--     \password search_worker
--
-- search_owner   owns the tables: creates and upgrades them. For `search start`, `confirm`, `ablate`.
-- search_worker  reads and writes rows, and changes no table. For `search worker` and all that reads.
--
-- Tables that are there become the owner's, and those that it makes later are covered too. Running it again
-- changes nothing. Both may log in once they have a password.
\set ON_ERROR_STOP on
SELECT format('CREATE ROLE %I LOGIN', role) FROM unnest(ARRAY['search_owner', 'search_worker']) AS role
  WHERE role NOT IN (SELECT rolname FROM pg_roles) \gexec
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT CREATE, USAGE ON SCHEMA public TO search_owner;
GRANT USAGE ON SCHEMA public TO search_worker;
ALTER DEFAULT PRIVILEGES FOR ROLE search_owner IN SCHEMA public
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO search_worker;
ALTER DEFAULT PRIVILEGES FOR ROLE search_owner IN SCHEMA public
  GRANT USAGE, SELECT ON SEQUENCES TO search_worker;
SELECT format('ALTER TABLE %I OWNER TO search_owner', tablename) FROM pg_tables WHERE schemaname = 'public' \gexec
SELECT format('ALTER TYPE %I OWNER TO search_owner', typname) FROM pg_type
  WHERE typnamespace = 'public'::regnamespace AND typtype = 'e' \gexec
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO search_worker;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO search_worker;
