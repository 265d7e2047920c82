"""Description of the API: OpenAPI, Postman collection and reference page."""
