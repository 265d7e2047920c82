"""A real server and a real song, as in the acceptance tests."""

from ..acceptance.conftest import email, environment, key, make_server, server, site, song

__all__ = ["email", "environment", "key", "make_server", "server", "site", "song"]
