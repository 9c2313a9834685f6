"""The project's own benchmark: a load generator, a mock upstream and one table. Knows the product only by its commands and its URL."""
