"""Who is signed in where, kept on the server, and links that sign in once."""
