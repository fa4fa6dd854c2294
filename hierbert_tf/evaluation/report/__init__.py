"""Pages for people: what a fine-tuned model gets right and wrong, one HTML file a set."""
