"""What a spiking network is: populations, the synapses between them, and the file that holds both."""
