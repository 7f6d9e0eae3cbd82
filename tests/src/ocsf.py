# Names what is wrong with OCSF events, a line of JSON each, by the published schema of their own version.
import importlib.resources, json, re, sys

schemas = {}

def schema(version):
    if version not in schemas:
        files = importlib.resources.files("ocsf_json_schema") / "ocsf"
        schemas[version] = json.loads((files / f"{version}.json").read_text())
    return schemas[version]

def is_of(kind, value, types):
    if kind == "boolean_t": return isinstance(value, bool)
    if kind in ("integer_t", "long_t", "timestamp_t", "port_t"):
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "float_t": return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind == "json_t": return True
    regex = types[kind].get("regex")
    return isinstance(value, str) and (not regex or re.search(regex, value) is not None)

def check(at, what, value, of, profiles):
    """`what`: a class or an object of the schema."""
    attributes = {k: v for k, v in what["attributes"].items() if v.get("profile") in (None, *profiles)}
    for name, attribute in attributes.items():
        if attribute.get("requirement") == "required" and name not in value: print(f"{at}: no {name}")
    for rule, names in (what.get("constraints") or {}).items():
        given = sum(name in value for name in names)
        if rule == "at_least_one" and not given or rule == "just_one" and given != 1:
            print(f"{at}: {rule} of {names}")
    for name, one in value.items():
        attribute = attributes.get(name)
        if not attribute:
            if what["attributes"]: print(f"{at}.{name}: no such attribute")
            continue
        if isinstance(one, list) != bool(attribute.get("is_array")): print(f"{at}.{name}: a list or not")
        for element in one if isinstance(one, list) else [one]:
            if attribute["type"] in ("object", "object_t"):
                inner = of["objects"][attribute["object_type"]]
                check(f"{at}.{name}", inner, element, of, profiles)
            elif not is_of(attribute["type"], element, of["types"]):
                print(f"{at}.{name}: {element} is no {attribute['type']}")
            enum = attribute.get("enum")
            if enum and str(element) not in enum: print(f"{at}.{name}: {element}")
            sibling = attribute.get("sibling")
            if enum and element == 99 and sibling and sibling not in value: print(f"{at}.{name}: no {sibling}")

for line in sys.stdin.buffer.read().decode().splitlines():
    event = json.loads(line)
    of = schema(event["metadata"]["version"])
    classes = [*of["classes"].values(), of["base_event"]]
    what = next(one for one in classes if one.get("uid", 0) == event["class_uid"])
    check(what["name"], what, event, of, event["metadata"]["profiles"])
    if event["type_uid"] != event["class_uid"] * 100 + event["activity_id"]: print("type_uid")
