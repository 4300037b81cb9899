"""The dashboard for tests: drawn without a browser, served, in a browser, with people signed in."""
