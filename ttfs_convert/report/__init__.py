"""What a report says: its JSON schema, and how it is made from measurements."""
