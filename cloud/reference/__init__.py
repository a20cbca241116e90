"""What the API is: as a document for programs (OpenAPI 3.1), and as pages for people."""
