"""Alerts and dashboard: metrics that exist, chapters that exist."""

import json
import re
import unittest

import chart

DOCUMENTED = set(re.findall(r"`(millrace_\w+)`", (chart.ROOT / "docs/metrics.md").read_text()))
CHAPTERS = {re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-")
            for line in (chart.ROOT / "docs/operations.md").read_text().splitlines() if line.startswith("#")}


def metrics_of(expression):
    return {re.sub(r"_(bucket|sum|count)$", "", m) for m in re.findall(r"\bmillrace_\w+", expression)}


class Monitoring(unittest.TestCase):
    def setUp(self):
        self.objects = chart.render(next(v for v in chart.VALUES if v.name == "production.yaml"))

    def rules(self):
        return [rule for group in chart.kind(self.objects, "PrometheusRule")[0]["spec"]["groups"] for rule in group["rules"]]

    def test_alerts_are_about_metrics_that_are_documented(self):
        for rule in self.rules():
            self.assertLessEqual(metrics_of(rule["expr"]), DOCUMENTED, rule)

    def test_alerts_lead_to_a_chapter_that_is_there(self):
        alerts = [rule for rule in self.rules() if "alert" in rule]
        self.assertGreaterEqual(len(alerts), 10)
        for alert in alerts:
            base, chapter = alert["annotations"]["runbook_url"].split("#")
            self.assertEqual(base, "https://docs.example/millrace/operations")
            self.assertIn(chapter, CHAPTERS, alert["alert"])
            self.assertIn(alert["labels"]["severity"], ("critical", "warning"))
            self.assertLessEqual({"summary", "description"}, set(alert["annotations"]))

    def test_each_alert_is_in_the_runbook(self):
        text = (chart.ROOT / "docs/operations.md").read_text()
        for rule in self.rules():
            if "alert" in rule:
                self.assertIn(f"`{rule['alert']}`", text)

    def test_expressions_are_of_this_release_and_their_brackets_close(self):
        for rule in self.rules():
            expression = rule["expr"]
            for left, right in ("()", "[]", "{}"):
                self.assertEqual(expression.count(left), expression.count(right), expression)
            self.assertIn(f'namespace="{chart.NAMESPACE}"', expression)

    def test_the_label_job_stays_millraces(self):
        endpoint = chart.kind(self.objects, "PodMonitor")[0]["spec"]["podMetricsEndpoints"][0]
        self.assertIs(endpoint["honorLabels"], True)

    def test_the_dashboard_asks_for_documented_metrics(self):
        dashboard = json.loads(chart.named(self.objects, "ConfigMap", "-dashboard")["data"]["millrace.json"])
        panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
        self.assertGreaterEqual(len(panels), 12)
        ids = [panel["id"] for panel in dashboard["panels"]]
        self.assertEqual(len(ids), len(set(ids)))
        for panel in panels:
            self.assertTrue(panel["description"], panel["title"])
            for target in panel["targets"]:
                self.assertTrue(metrics_of(target["expr"]))
                self.assertLessEqual(metrics_of(target["expr"]), DOCUMENTED, panel["title"])


if __name__ == "__main__":
    unittest.main()
