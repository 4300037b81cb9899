"""What tests share: streams of events, floors, oracles, processes, browsers. No test is here."""
