"""What passes between the folders: inferences, events, raw data, labels; and their bytes."""
