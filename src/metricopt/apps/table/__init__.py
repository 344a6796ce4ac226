"""The job on a table in a file: read, train, optimise, test, keep everything that a prediction needs."""
