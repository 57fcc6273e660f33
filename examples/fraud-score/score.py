"""Scores payments of 0 to 100 by what the account has paid before.

    python examples/fraud-score/score.py --connect 'ipc:///tmp/fraud-score-*.sock' --processes 2
"""

from millrace import Reject, keyed, serve

HASTE_MS = 60_000  # a payment so soon after the one before is suspicious
UNUSUAL = 5  # so many times the mean as well


@keyed
def score(payment, account):
    cents = payment.value.get("cents")
    if type(cents) is not int:
        raise Reject("`cents` must be a whole number")
    count, total = account.get("count", 0), account.get("total", 0)
    why = []
    if count > 0 and cents * count > UNUSUAL * total:
        why.append("amount")
    if count > 0 and payment.time_ms - account["last_ms"] < HASTE_MS:
        why.append("haste")
    account.update(count=count + 1, total=total + cents, last_ms=payment.time_ms)
    return {"cents": cents, "score": min(100, 60 * len(why)), "why": why}


if __name__ == "__main__":
    serve(score)
