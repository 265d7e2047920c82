"""Jobs of test keys: the results of a built-in song in the place of the client's."""
