"""Archive: what must not be lost. Sessions, transcripts, inbox, usage; SQLite inside, PostgreSQL to come."""
