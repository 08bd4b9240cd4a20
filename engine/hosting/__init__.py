"""Where media go for a platform without uploads."""
