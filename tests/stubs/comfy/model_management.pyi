from collections.abc import Callable

class InterruptProcessingException(Exception): ...

interrupt_current_processing: Callable[..., None]

def processing_interrupted() -> bool: ...
