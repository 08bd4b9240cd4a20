class ExecutionContext:
    prompt_id: str | None
    node_id: str

def get_executing_context() -> ExecutionContext | None: ...
