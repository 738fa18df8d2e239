"""Which values the spikes of a layer stand for, and how they are found."""
