"""PostgreSQL, the broker and the processes of an instance on a bare machine."""
