"""Grid data, not code: under its own licences, see README.md beside this file."""
