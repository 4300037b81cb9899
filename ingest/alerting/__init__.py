"""Alert rules, evaluated on the snapshot that is about to be published."""
