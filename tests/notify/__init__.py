"""Tests of notify: who is told what and when, and that nothing is lost on the way."""
