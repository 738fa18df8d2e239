"""The commands. Modules here import nothing heavy at the top: `--help` should answer at once."""
