"""The small launcher of the PostgreSQL server that the panel runs itself where DATABASE_URL names none."""
