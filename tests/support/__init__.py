"""Doubles that several rooms' tests share: real behaviour, no device, no clock, no randomness."""
