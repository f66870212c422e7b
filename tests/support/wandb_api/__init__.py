"""A W&B API server for tests: GraphQL and file endpoints, its state on disk, faults on demand.

`server.serve()` runs one; the SDK and the programs of W&B 0.31 work against it.
"""
