"""A function's annotations → the JSON Schema that a model sees, and its arguments → typed values.

1. The schema is one plain object: references are inlined (only recursive types keep `$defs`), titles are dropped,
   objects take no other properties. Providers and llama.cpp's grammars accept it as it is.
2. A parameter with default None shows its plain type and is optional.
3. Descriptions come from `Annotated[..., Meta(description=…)]`, `Annotated[..., "text"]`, or the docstring's `Args:`.
4. Wrong arguments give one error that names every problem.
5. Types with `model_json_schema` and `model_validate` are taken as pydantic models, which we do not depend on.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec

from openclaw.base.errors import ConfigError, InvalidRequest
from openclaw.base.secret import Secret
from openclaw.tools.docstring import parameter_docs

_REF = "#/$defs/"
_MISSING = inspect.Parameter.empty
_RAW_KEYS = frozenset({"enum", "default", "const", "examples", "required"})
"""Schema keywords whose values are data, not schemas."""
_DROPPED = frozenset({"$defs", "title", "discriminator", "uniqueItems"})
"""Keywords that models do not need; the local model's grammar (llguidance) refuses `uniqueItems`."""


class Parameters:
    """The parameters of one function: `schema` for the model, `convert` for its arguments.

    `injected` maps the names of parameters that the caller fills (a Context) to their types; the model never sees them.
    """

    def __init__(self, function: Callable[..., Any], doc: str = "", inject: Collection[type] = ()) -> None:
        signature, hints = _signature(function)
        self.injected: dict[str, type] = {}
        self._types: dict[str, Any] = {}
        self._required: list[str] = []
        defaults: dict[str, Any] = {}
        for name, parameter in signature.parameters.items():
            hint = hints.get(name, _MISSING)
            wanted = next((kind for kind in inject if hint is kind or kind in get_args(hint)), None)
            if wanted:
                self.injected[name] = wanted
                continue
            _check_parameter(name, parameter, hint)
            self._types[name] = hint
            if parameter.default is _MISSING:
                self._required.append(name)
            else:
                defaults[name] = parameter.default
        self.schema = _object_schema(self._types, self._required, defaults, parameter_docs(doc))

    def convert(self, arguments: Mapping[str, Any], what: str) -> dict[str, Any]:
        """Return keyword arguments. Raises: InvalidRequest naming every missing, unknown and wrong one."""
        values: dict[str, Any] = {}
        problems = [f"{name} is required" for name in self._required if name not in arguments]
        for name, value in arguments.items():
            if name not in self._types:
                known = ", ".join(self._types) or "none"
                problems.append(f"{name} is not a parameter (there are: {known})")
                continue
            try:
                values[name] = msgspec.convert(value, self._types[name], dec_hook=from_json)
            except (msgspec.ValidationError, RecursionError) as error:
                problems.append(f"{name}: {_located(str(error), name)}")
        if problems:
            raise InvalidRequest(f"Wrong arguments for {what}: " + "; ".join(problems))
        return values


def config_arguments(kind: type, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a class's arguments from configuration, converted where the annotation is a type that JSON can carry.

    Raises: ConfigError naming every problem.
    """
    signature, hints = _signature(kind)
    known = signature.parameters
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
    problems = [
        f"{name} is required"
        for name, parameter in known.items()
        if parameter.default is _MISSING and name not in arguments and parameter.kind not in _VARIADIC
    ]
    values: dict[str, Any] = {}
    for name, value in arguments.items():
        if name not in known and not open_ended:
            problems.append(f"{name} is not an argument (there are: {', '.join(known) or 'none'})")
            continue
        try:
            values[name] = msgspec.convert(value, hints.get(name, Any), dec_hook=from_json)
        except msgspec.ValidationError as error:
            problems.append(f"{name}: {_located(str(error), name)}")
        except (TypeError, NotImplementedError):
            values[name] = value  # an annotation that JSON cannot carry: the class knows better
    if problems:
        raise ConfigError("Wrong args: " + "; ".join(problems), hint="Correct the action's `args`.")
    return values


_VARIADIC = frozenset({inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL})


def _signature(function: Callable[..., Any]) -> tuple[inspect.Signature, dict[str, Any]]:
    target = function.__init__ if isinstance(function, type) else function  # type: ignore[misc]  # read, not called
    try:
        return inspect.signature(function), get_type_hints(target, include_extras=True)
    except NameError as error:
        raise ConfigError(
            f"An annotation cannot be resolved: {error}.",
            hint="Import the type at the top of the module, outside `if TYPE_CHECKING`.",
        ) from None


def _check_parameter(name: str, parameter: inspect.Parameter, hint: Any) -> None:
    if parameter.kind in _VARIADIC or parameter.kind is parameter.POSITIONAL_ONLY:
        raise ConfigError(f"Parameter {name} must be an ordinary named one: a model passes arguments by name.")
    if hint is _MISSING:
        raise ConfigError(f"Parameter {name} has no type. Annotate it, e.g. `{name}: str`.")


def _is_pydantic(kind: Any) -> bool:
    return isinstance(kind, type) and hasattr(kind, "model_json_schema") and hasattr(kind, "model_validate")


def from_json(kind: type, value: Any) -> Any:
    """Make a value of a type that msgspec does not know. Raises: ValueError, NotImplementedError."""
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    if not _is_pydantic(kind):
        raise NotImplementedError(f"{kind} cannot be made from JSON")
    try:
        return kind.model_validate(value)  # type: ignore[attr-defined]  # duck-typed pydantic
    except ValueError as error:
        listed = getattr(error, "errors", None)
        if not callable(listed):
            raise
        told = (f"{'.'.join(map(str, item['loc'])) or 'value'}: {item['msg']}" for item in listed())
        raise ValueError(", ".join(told)) from None


def _foreign_schema(kind: type) -> dict[str, Any]:
    if _is_pydantic(kind):
        schema: dict[str, Any] = kind.model_json_schema(ref_template=_REF + "{model}")  # type: ignore[attr-defined]
        return schema
    raise NotImplementedError(kind)


def _object_schema(
    types: Mapping[str, Any], required: list[str], defaults: Mapping[str, Any], docs: Mapping[str, str]
) -> dict[str, Any]:
    shared: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    for name, kind in types.items():
        try:
            (raw,), found = msgspec.json.schema_components(
                [kind], schema_hook=_foreign_schema, ref_template=_REF + "{name}"
            )
        except (TypeError, NotImplementedError) as error:
            raise ConfigError(f"Parameter {name} has a type that JSON cannot carry: {error}") from None
        node = _Plain(found, shared).node(raw)
        if name in defaults:
            node = _with_default(node, defaults[name])
        description = _annotated_text(kind) or docs.get(name, "")
        if description and "description" not in node:
            node["description"] = description
        properties[name] = node
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        schema["required"] = list(required)
    schema["additionalProperties"] = False
    if shared:
        schema["$defs"] = shared
    return schema


def _annotated_text(kind: Any) -> str:
    """Return a bare text in Annotated, or the description of another library's marker (pydantic's Field)."""
    if get_origin(kind) is not Annotated:
        return ""
    for extra in get_args(kind)[1:]:
        text = extra if isinstance(extra, str) else getattr(extra, "description", None)
        if isinstance(text, str):
            return text
    return ""


def _with_default(node: dict[str, Any], default: Any) -> dict[str, Any]:
    if default is None:
        options = [option for option in node.get("anyOf", ()) if option != {"type": "null"}]
        if len(options) == 1 and len(node["anyOf"]) == 2:
            return {**options[0], **{key: value for key, value in node.items() if key != "anyOf"}}
        return node
    try:
        return {**node, "default": msgspec.to_builtins(default)}
    except (TypeError, NotImplementedError):
        return node


def _located(message: str, name: str) -> str:
    """Turn msgspec's "… - at `$.x[0]`" into a path below the parameter's name."""
    return message.replace("`$", f"`{name}")


class _Plain:
    """Inlines the references of one schema. Recursive definitions are collected in `shared` instead."""

    def __init__(self, definitions: dict[str, Any], shared: dict[str, Any]) -> None:
        self._definitions = dict(definitions)
        self._shared = shared

    def node(self, raw: dict[str, Any], within: tuple[str, ...] = ()) -> dict[str, Any]:
        self._definitions.update(raw.get("$defs", {}))
        out: dict[str, Any] = {}
        for key, value in raw.items():
            if key == "$ref":
                out = {**self._reference(value, within), **out}
            elif key == "properties":
                out[key] = {name: self.node(inner, within) for name, inner in value.items()}
            elif key not in _DROPPED:
                out[key] = value if key in _RAW_KEYS else self._value(value, within)
        if "enum" in out and "type" not in out and (kind := _enum_type(out["enum"])):
            out["type"] = kind
        if "properties" in out:
            out.setdefault("additionalProperties", False)
        return out

    def _value(self, value: Any, within: tuple[str, ...]) -> Any:
        if isinstance(value, dict):
            return self.node(value, within)
        return [self._value(item, within) for item in value] if isinstance(value, list) else value

    def _reference(self, ref: str, within: tuple[str, ...]) -> dict[str, Any]:
        name = ref.removeprefix(_REF)
        if name not in within:
            return self.node(self._definitions[name], (*within, name))
        if name not in self._shared:
            self._shared[name] = {}
            self._shared[name] = self.node(self._definitions[name], (name,))
        return {"$ref": ref}


def _enum_type(values: list[Any]) -> str:
    kinds = {type(value) for value in values}
    return {str: "string", int: "integer"}.get(kinds.pop(), "") if len(kinds) == 1 else ""
