"""The HTTP routes and events of the editor, below /skyport/."""
