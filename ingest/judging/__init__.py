"""What calls and states are at an instant, by the configuration; and the checks that ring."""
