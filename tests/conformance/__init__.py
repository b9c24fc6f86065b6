"""What clients of the field rely on: the protocol package's schema, recorded conversations re-told, hostile frames."""
