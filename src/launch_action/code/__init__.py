"""A directory as the source of a job: which of its files, and their content."""
