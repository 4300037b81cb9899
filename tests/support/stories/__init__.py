"""Events for tests, written as stories, scenarios, logs and lists, or generated."""
