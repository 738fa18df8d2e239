"""The functions of neurons whose threshold has a shape, one file each, and how such a threshold is compared with."""
