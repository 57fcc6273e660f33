"""Values that the chart takes, and those that it refuses."""

import re
import unittest

import chart


class RefusedValues(unittest.TestCase):
    def test_each_wrong_file_is_refused_and_the_message_names_the_key(self):
        self.assertGreaterEqual(len(chart.WRONG), 20)
        for values in chart.WRONG:
            with self.subTest(values.name):
                wanted = re.match(r"# refused: (.*)", values.read_text())[1]
                done = chart.try_render(values)
                self.assertNotEqual(done.returncode, 0, "it was taken")
                for word in wanted.split(": "):
                    self.assertIn("''" if word == "/" else word, done.stderr)

    def test_an_unknown_key_is_refused_at_every_depth(self):
        def objects(schema, path=()):
            if schema.get("type") == "object" and "properties" in schema:
                yield path, schema
                for name, inner in schema["properties"].items():
                    yield from objects(inner, (*path, name))

        schema = chart.yaml.safe_load((chart.CHART / "values.schema.json").read_text())
        open_ones = {"global", "podSecurityContext"}
        for path, inner in objects(schema):
            if not path or path[0] not in open_ones:
                self.assertIsNot(inner.get("additionalProperties", True), True, ".".join(path))

    def test_schema_and_values_have_the_same_keys(self):
        def keys(values, schema, path=""):
            for name in schema.get("properties", {}):
                if path + name not in ("enabled",):
                    self.assertTrue(isinstance(values, dict) and name in values or path.endswith("resources."), f"{path}{name}: no default")
            if isinstance(values, dict):
                for name, value in values.items():
                    inner = schema.get("properties", {}).get(name)
                    if inner is not None:
                        keys(value, inner, f"{path}{name}.")

        values = chart.yaml.safe_load((chart.CHART / "values.yaml").read_text())
        schema = chart.yaml.safe_load((chart.CHART / "values.schema.json").read_text())
        without = {"limits", "requests", "claims"}
        for resources in _resources(schema):
            for name in without:
                resources["properties"].pop(name, None)
        schema["properties"].pop("podSecurityContext")
        keys(values, schema)


def _resources(schema):
    for name, inner in schema.get("properties", {}).items():
        if name == "resources":
            yield inner
        else:
            yield from _resources(inner)


class TakenValues(unittest.TestCase):
    def test_lint_finds_nothing(self):
        for values in chart.VALUES:
            with self.subTest(values.name):
                done = chart.helm("lint", "--strict", chart.CHART, *chart.CLUSTER, "-f", values)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_memory_follows_the_limit(self):
        for values, limit, wanted in ((chart.VALUES[1], "2Gi", "1440MiB"), (chart.VALUES[1], "1128Mi", "750MiB")):
            objects = chart.render(values, "--set", f"workers.resources.limits.memory={limit}")
            self.assertEqual(chart.settings(objects, "worker")["memory"], wanted)
        everything = chart.render(next(v for v in chart.VALUES if v.name == "everything.yaml"))
        self.assertEqual(chart.settings(everything, "worker")["memory"], "256MiB")


if __name__ == "__main__":
    unittest.main()
