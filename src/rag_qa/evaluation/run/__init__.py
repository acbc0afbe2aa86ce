"""Questions through the engine, and values of what came back."""
