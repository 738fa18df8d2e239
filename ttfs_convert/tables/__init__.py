"""Tables for the terminal, and the JSON that holds the same."""
