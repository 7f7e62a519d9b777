"""The composition root: settings, container, process."""
