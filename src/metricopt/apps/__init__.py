"""Programs for one kind of data: everything from a file to a finished report in one room."""
