"""One HTML page that shows a data set: examples, sizes, colours, spectra and fingerprints. Torch-free."""
