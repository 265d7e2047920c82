"""The pages that people use, made on the server: they call the services that the API calls, and add no rule."""
