"""`make trace`: which test shows which requirement of the specification."""
