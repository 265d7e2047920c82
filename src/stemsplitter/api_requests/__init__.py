"""Log of the requests that were made with API keys, for their owners."""
