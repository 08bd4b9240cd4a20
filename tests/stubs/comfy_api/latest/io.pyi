from collections.abc import Sequence
from enum import Enum
from typing import Any, ClassVar

class Hidden(str, Enum):
    unique_id = ...
    prompt = ...

class HiddenHolder:
    unique_id: str
    prompt: dict[str, Any] | None

class ControlAfterGenerate(str, Enum):
    fixed = ...

class Input:
    id: str
    def __init__(self, id: str, **options: Any) -> None: ...

class Output:
    id: str
    def __init__(self, id: str | None = None, **options: Any) -> None: ...

class ComfyType:
    class Input(Input): ...
    class Output(Output): ...

class Image(ComfyType): ...
class Mask(ComfyType): ...
class Video(ComfyType): ...
class Audio(ComfyType): ...
class String(ComfyType): ...
class Int(ComfyType): ...
class Float(ComfyType): ...
class Boolean(ComfyType): ...
class Combo(ComfyType): ...
class AnyType(ComfyType): ...

def Custom(io_type: str) -> type[ComfyType]: ...  # noqa: N802

class MultiType:
    class Input(Input):
        def __init__(
            self, id: str | Input, types: Sequence[type[ComfyType]], **options: Any
        ) -> None: ...

class MatchType:
    class Template:
        def __init__(self, template_id: str, allowed_types: Sequence[type[ComfyType]]) -> None: ...

    class Input(Input):
        def __init__(self, id: str, template: MatchType.Template, **options: Any) -> None: ...

    class Output(Output):
        def __init__(
            self, template: MatchType.Template, id: str | None = None, **options: Any
        ) -> None: ...

class DynamicCombo:
    class Option:
        def __init__(self, key: str, inputs: Sequence[Input]) -> None: ...

    class Input(Input):
        def __init__(
            self, id: str, options: Sequence[DynamicCombo.Option], **more: Any
        ) -> None: ...

class Autogrow:
    class TemplatePrefix:
        def __init__(self, input: Input, prefix: str, min: int = 1, max: int = 10) -> None: ...

    class Input(Input):
        def __init__(self, id: str, template: Autogrow.TemplatePrefix, **options: Any) -> None: ...

class Schema:
    node_id: str
    inputs: list[Input]
    outputs: list[Output]
    def __init__(
        self,
        node_id: str,
        display_name: str | None = None,
        category: str = "sd",
        inputs: Sequence[Input] = (),
        outputs: Sequence[Output] = (),
        hidden: Sequence[Hidden] = (),
        is_output_node: bool = False,
    ) -> None: ...

class NodeOutput:
    def __init__(self, *args: Any, ui: dict[str, Any] | None = None) -> None: ...

class ComfyNode:
    hidden: ClassVar[HiddenHolder]
    # The inputs of `execute`, `validate_inputs` and `fingerprint_inputs` are those of the schema.
    execute: Any
    validate_inputs: Any
    fingerprint_inputs: Any
    @classmethod
    def define_schema(cls) -> Schema: ...
