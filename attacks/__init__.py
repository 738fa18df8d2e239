"""Network files as somebody might make them who means harm, one file per kind of change; each has to be refused in one line (docs/security.md)."""
