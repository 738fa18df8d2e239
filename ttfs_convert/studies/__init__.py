"""What is found out about a network: comparisons with its original, sweeps, tuning, inspection."""
