"""The gateway's shared credential wherever it is kept: found, compared, replaced."""
