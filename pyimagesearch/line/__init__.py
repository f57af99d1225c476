"""The production line: parts that come one by one, and what is done about each verdict."""
