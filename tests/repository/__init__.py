"""The repository: who imports whom, documents, deployment, and how the tests themselves run."""
