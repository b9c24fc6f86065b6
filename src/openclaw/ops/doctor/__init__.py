"""The doctor: a table of checks that look and name, and named patches that mend and can be taken back."""
