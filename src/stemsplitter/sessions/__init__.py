"""Sessions of browsers, stored on the server, and single-use sign-in links."""
