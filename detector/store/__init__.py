"""What is kept on the disk: the journal, and the state with the outbox. SQLite, one writer for each database."""
