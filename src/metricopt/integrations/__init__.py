"""Other people's interfaces to the one-call job."""
