"""HTTP routes: each parses a request, calls one function and answers with a schema."""
