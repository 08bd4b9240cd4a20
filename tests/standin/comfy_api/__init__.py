"""The API for node packs; only `latest` exists."""
