"""Files below one folder, by descriptors only: how a path is read, walked and judged."""
