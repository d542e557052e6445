"""HTTP around the routes: connections, forms, limits, problem details."""
