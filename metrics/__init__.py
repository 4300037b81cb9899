"""What Vigie's numbers mean: the configuration they are judged by, the SQL objects, and the readers for pages."""

from metrics.objects import install

__all__ = ["install"]
