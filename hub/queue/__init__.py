"""Work to be done: a job row with its reason, and the RQ side that runs it."""
