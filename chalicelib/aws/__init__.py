"""One light way to AWS: signed HTTP requests, retries, and the services that are asked."""
