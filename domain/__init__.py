"""The pure core: jobs, sampling, text, model descriptions, memory plan. No I/O, no clock, no threads."""
