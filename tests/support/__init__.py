"""What tests share: streams of events, floors, oracles, processes, browsers. No test is here."""

RUN = "VIGIE_TESTS_RUN"
"""The environment variable by which what a run of the tests starts is found again."""
