"""Text to documents of sentences, documents to token shards, vocabulary and tokenizer."""
