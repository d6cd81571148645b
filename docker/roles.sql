-- Two roles in place of a superuser. Run it once, as a superuser, in the database of the studies:
--
--     psql -d search -f docker/roles.sql
--     \password search_owner
--     \password search_worker
--
-- search_owner   owns the tables: creates and upgrades them. For `search start`, `confirm`, `ablate`.
-- search_worker  reads and writes rows, and changes no table. For `search worker` and all that reads.
--
-- Tables that the owner makes later are covered too. Both may log in once they have a password.
\set ON_ERROR_STOP on
CREATE ROLE search_owner LOGIN;
CREATE ROLE search_worker LOGIN;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT CREATE, USAGE ON SCHEMA public TO search_owner;
GRANT USAGE ON SCHEMA public TO search_worker;
ALTER DEFAULT PRIVILEGES FOR ROLE search_owner IN SCHEMA public
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO search_worker;
ALTER DEFAULT PRIVILEGES FOR ROLE search_owner IN SCHEMA public
  GRANT USAGE, SELECT ON SEQUENCES TO search_worker;
