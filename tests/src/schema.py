# Names what is wrong with the output of `qrtotp audit --json`, a line of JSON each, by our published schema.
import datetime, json, sys
import jsonschema

formats = jsonschema.FormatChecker()
formats.checks("date-time", ValueError)(lambda text: bool(datetime.datetime.fromisoformat(text)))
with open(sys.argv[1]) as file:
    schema = json.load(file)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema, format_checker=formats)
for line in sys.stdin.buffer.read().decode().split("\n")[:-1]:
    for error in validator.iter_errors(json.loads(line)):
        print(f"{error.json_path}: {error.message[:200]}")
