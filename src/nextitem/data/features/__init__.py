"""What is known of items beside their ids: read, joined to a catalogue, kept with their types, laid out for models."""
