"""The reader's language: texts, numbers and times, and the words of alerts. Pages and messages share them."""
