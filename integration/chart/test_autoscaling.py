"""Who sets the number of workers: the values, or the wish of the coordinator that leads."""

import re
import unittest

import chart

METRIC = "millrace_workers_wanted"


class Autoscaling(unittest.TestCase):
    def of(self, name, *arguments):
        return chart.render(next(v for v in chart.VALUES if v.name == f"{name}.yaml"), *arguments)

    def replicas(self, objects):
        return chart.named(objects, "StatefulSet", "-worker")["spec"].get("replicas")

    def test_without_it_the_values_say_how_many(self):
        objects = self.of("minimal", "--set", "workers.replicas=3")
        self.assertEqual(self.replicas(objects), 3)
        self.assertEqual(chart.kind(objects, "ScaledObject", "HorizontalPodAutoscaler"), [])
        self.assertNotIn("max-workers", chart.settings(objects, "coordinator"))

    def test_with_it_the_values_do_not(self):
        for name, of_kind in (("production", "ScaledObject"), ("everything", "HorizontalPodAutoscaler")):
            objects = self.of(name)
            self.assertIsNone(self.replicas(objects), "each upgrade would undo what the autoscaler did")
            (scaler,) = chart.kind(objects, "ScaledObject", "HorizontalPodAutoscaler")
            self.assertEqual(scaler["kind"], of_kind)
            target = scaler["spec"]["scaleTargetRef"]
            self.assertEqual((target["kind"], target["name"]), ("StatefulSet", chart.named(objects, "StatefulSet", "-worker")["metadata"]["name"]))

    def test_the_autoscaler_and_the_coordinator_have_the_same_bounds(self):
        for name, least, most in (("production", "minReplicaCount", "maxReplicaCount"), ("everything", "minReplicas", "maxReplicas")):
            objects = self.of(name)
            (scaler,) = chart.kind(objects, "ScaledObject", "HorizontalPodAutoscaler")
            settings = chart.settings(objects, "coordinator")
            self.assertEqual(settings["min-workers"], str(scaler["spec"][least]))
            self.assertEqual(settings["max-workers"], str(scaler["spec"][most]))
        self.assertEqual((settings["target-busy"], settings["scale-in-after"]), ("60", "90s"))

    def test_too_few_are_fewer_than_there_may_be(self):
        for name, least in (("production", 3), ("everything", 2)):
            (rule,) = chart.kind(self.of(name), "PrometheusRule")
            alerts = {a["alert"]: a for group in rule["spec"]["groups"] for a in group["rules"] if "alert" in a}
            self.assertRegex(alerts["MillraceTooFewWorkers"]["expr"], rf"< {least}$")

    def test_keda_asks_for_the_wish_of_this_release_and_takes_no_answer_for_none(self):
        objects = self.of("production")
        (trigger,) = chart.kind(objects, "ScaledObject")[0]["spec"]["triggers"]
        query = trigger["metadata"]["query"]
        deployment = chart.named(objects, "Deployment", "-coordinator")["metadata"]["name"]
        self.assertIn(METRIC, query)
        self.assertIn(f'namespace="{chart.NAMESPACE}"', query)
        self.assertRegex(f"{deployment}-6d5f-x2x4", re.search(r'pod=~"([^"]+)"', query)[1] + "$")
        self.assertEqual((trigger["metricType"], trigger["metadata"]["threshold"]), ("AverageValue", "1"))
        self.assertEqual(trigger["metadata"]["ignoreNullValues"], "false")
        self.assertNotIn("authenticationRef", trigger)

    def test_keda_may_be_given_a_query_and_an_identity(self):
        more = "workers.autoscaling.keda.query=vector(3),workers.autoscaling.keda.authentication=prometheus"
        (trigger,) = chart.kind(self.of("production", "--set", more), "ScaledObject")[0]["spec"]["triggers"]
        self.assertEqual(trigger["metadata"]["query"], "vector(3)")
        self.assertEqual(trigger["authenticationRef"], {"name": "prometheus"})

    def test_an_external_metric_is_the_number_itself(self):
        (metric,) = chart.kind(self.of("everything"), "HorizontalPodAutoscaler")[0]["spec"]["metrics"]
        self.assertEqual(metric["external"]["metric"], {"name": METRIC, "selector": {"matchLabels": {"release": "lake"}}})
        self.assertEqual(metric["external"]["target"], {"type": "AverageValue", "averageValue": "1"})

    def test_the_metric_is_one_that_coordinators_have(self):
        self.assertIn(f"| `{METRIC}` | gauge |", (chart.ROOT / "docs/metrics.md").read_text())

    def test_those_that_go_have_their_time_to_drain(self):
        for name, longest in (("production", 75), ("everything", 1800)):
            (scaler,) = chart.kind(self.of(name), "ScaledObject", "HorizontalPodAutoscaler")
            spec = scaler["spec"]
            behavior = spec.get("behavior") or spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
            self.assertEqual({policy["periodSeconds"] for policy in behavior["scaleDown"]["policies"]}, {longest})
            self.assertEqual(behavior["scaleUp"]["stabilizationWindowSeconds"], 0)


if __name__ == "__main__":
    unittest.main()
