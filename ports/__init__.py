"""Interfaces between the core and the world, and the plain values that cross them."""
