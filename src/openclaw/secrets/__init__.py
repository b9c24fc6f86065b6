"""Reception: references to secrets in, values out."""
