"""The version of this package: here, since asking the installation for it takes a good part of a start."""

VERSION = "0.1.0"
