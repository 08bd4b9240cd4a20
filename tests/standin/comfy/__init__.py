"""The few corners of the engine that nodes touch."""
