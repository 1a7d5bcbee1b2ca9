"""Topics of Kafka: an event for each row that changed, and a commit for each partition."""
