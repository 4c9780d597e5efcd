"""serverless-offline, which the conformance suite tests and the benchmark measures."""
