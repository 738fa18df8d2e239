"""One file per kind of synapse, and what chains of them come to."""
