"""The console: server-rendered pages. They call the same services as the API and add no rules of their own."""
