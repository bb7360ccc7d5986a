"""A JSON Schema checker for what web/openapi.json uses of it, and the look-up of an operation's answer. No package needed."""


def resolve(doc, schema):
    while "$ref" in schema:
        node = doc
        for part in schema["$ref"].lstrip("#/").split("/"):
            node = node[part]
        schema = node
    return schema


KINDS = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "null": lambda v: v is None,
}
KNOWN = {"$ref", "type", "properties", "required", "additionalProperties", "items", "minItems", "maxItems", "enum", "oneOf",
         "description", "format"}


def faults(doc, schema, value, at="$"):
    """Every way in which a value does not fit, as text."""
    schema = resolve(doc, schema)
    unknown = set(schema) - KNOWN
    if unknown:
        return [f"{at}: the checker does not know {unknown}"]
    if "oneOf" in schema:
        fits = [not faults(doc, s, value, at) for s in schema["oneOf"]]
        return [] if sum(fits) == 1 else [f"{at}: fits {sum(fits)} of oneOf"]
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(KINDS[k](value) for k in kinds):
        return [f"{at}: {value!r:.60} is not {kinds}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{at}: {value!r} is not of {schema['enum']}"]
    out = []
    if isinstance(value, dict):
        known = schema.get("properties", {})
        out += [f"{at}: {k} is missing" for k in schema.get("required", []) if k not in value]
        for k, v in value.items():
            if k in known:
                out += faults(doc, known[k], v, f"{at}.{k}")
            elif schema.get("additionalProperties") is False:
                out.append(f"{at}: {k} is not described")
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            out.append(f"{at}: {len(value)} items")
        for i, v in enumerate(value):
            out += faults(doc, schema.get("items", {}), v, f"{at}[{i}]")
    return out


def find(doc, method, path):
    """The template and the operation of a path."""
    parts = path.split("/")
    best = None
    for template, methods in doc["paths"].items():
        t = template.split("/")
        if len(t) == len(parts) and all(a == b or a.startswith("{") for a, b in zip(t, parts)) and method.lower() in methods:
            if best is None or best[0].count("{") > template.count("{"):
                best = (template, methods[method.lower()])
    return best or (None, None)


def check(doc, method, path, status, content_type, value):
    """Faults of one answer against the description."""
    template, op = find(doc, method, path)
    if not op:
        return [f"{method} {path} is not described"]
    answer = op["responses"].get(str(status))
    if answer is None:
        if status < 400 and status != 304:
            return [f"{method} {template}: status {status} is not described"]
        answer = op["responses"]["default"]
    if status == 304:
        return []
    content = answer.get("content")
    if not content:
        return [] if value in (None, "") else [f"{method} {template}: a body where none is described"]
    kind, media = next(iter(content.items()))
    if kind != "*/*" and not (content_type or "").startswith(kind.rstrip("*")):
        return [f"{method} {template}: {content_type}, not {kind}"]
    return faults(doc, media["schema"], value, f"{method} {template} {status}") if kind == "application/json" else []
