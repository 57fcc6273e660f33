"""A NATS that takes nobody without a certificate and credentials of their role, and an S3 store, in the namespace of a release."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import release

sys.path.insert(0, str(release.ROOT / "integration"))
from checkpoint_case import build_go  # noqa: E402

ROLES = ("coordinator", "worker", "submitter")
BUCKET = "checkpoints"
S3_PORT = 7070
ACCESS, SECRET = "millrace-test", "for-the-test-alone"
CONTAINER = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
SERVER = """\
port: 4222
http_port: 8222
tls { cert_file: /tls/tls.crt, key_file: /tls/tls.key, ca_file: /tls/ca.crt, verify: true }
jetstream { store_dir: /data, sync_interval: always }
"""


def certificates(folder):
    """An authority, and a certificate of it for the server and for its clients."""
    def openssl(*arguments):
        release.must("openssl", *arguments)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test authority",
            "-keyout", folder / "ca.key", "-out", folder / "ca.crt")
    for name, use in (("server", "serverAuth"), ("client", "clientAuth")):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.csr")
        extensions = folder / f"{name}.ext"
        extensions.write_text(f"extendedKeyUsage={use}\nsubjectAltName=DNS:{'nats' if name == 'server' else name}\n")
        openssl("x509", "-req", "-in", folder / f"{name}.csr", "-CA", folder / "ca.crt", "-CAkey", folder / "ca.key", "-CAcreateserial",
                "-days", "2", "-extfile", extensions, "-out", folder / f"{name}.crt")
    return {name: {"ca.crt": (folder / "ca.crt").read_text(), "tls.crt": (folder / f"{name}.crt").read_text(),
                   "tls.key": (folder / f"{name}.key").read_text()} for name in ("server", "client")}


def users(folder, allowed):
    program = build_go(folder, pathlib.Path(__file__).parent.name + "/nats_users")
    if program is None:
        raise AssertionError("integration/kubernetes/nats_users cannot be built")
    made = subprocess.run([program], input=allowed, capture_output=True, text=True)
    if made.returncode != 0:
        raise AssertionError(made.stderr)
    return json.loads(made.stdout)


def secret(name, data):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


def pod(name, container, volumes=(), before=(), **more):
    containers = [[{"name": name, "imagePullPolicy": "IfNotPresent", "securityContext": CONTAINER, **c} for c in of] for of in (before, [container])]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": {
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "fsGroup": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
        "automountServiceAccountToken": False, "volumes": list(volumes), "initContainers": containers[0], "containers": containers[1], **more}}


def server(name, port, container, volumes, before=()):
    """A pod of one container, and its service."""
    probe = {"readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1}}
    return [pod(name, {**container, **probe}, volumes, before),
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
             "spec": {"selector": {"app": name}, "ports": [{"port": port}]}}]


def permissions(of):
    """What the image's own executable says that each role has to be allowed."""
    name = "permissions"
    command = ["coordinator", "nats-permissions", "-o", "json"]
    of.kubectl("apply", "-f", "-", stdin=json.dumps(
        pod(name, {"image": os.environ["MILLRACE_IMAGE"], "command": command}, restartPolicy="Never")))
    of.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", f"--timeout={release.WAIT_SECONDS}s")
    return of.kubectl("logs", name)


def nats(of_users, certificate):
    data = {"name": "data", "emptyDir": {}}
    return [secret("nats-conf", {"nats.conf": SERVER + of_users["server"]}), secret("nats-server", certificate),
            *server("nats", 4222, {
                "image": os.environ.get("MILLRACE_NATS_IMAGE", "nats:2.12.1"), "args": ["--config", "/conf/nats.conf"],
                "volumeMounts": [{"name": n, "mountPath": f"/{n}"} for n in ("conf", "tls", "data")]},
                [{"name": "conf", "secret": {"secretName": "nats-conf"}}, {"name": "tls", "secret": {"secretName": "nats-server"}}, data])]


def s3(image):
    mounts = [{"name": "store", "mountPath": "/store"}]
    return [secret("s3", {"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET}),
            *server("s3", S3_PORT, {
                "image": image, "volumeMounts": mounts,
                "args": ["--port", f":{S3_PORT}", "--access", ACCESS, "--secret", SECRET, "--quiet", "posix", "--sidecar", "/store/meta",
                         "/store/buckets"]},
                [{"name": "store", "emptyDir": {}}],
                [{"name": "folders", "image": os.environ["MILLRACE_IMAGE"], "volumeMounts": mounts,
                  "command": ["mkdir", "-p", f"/store/buckets/{BUCKET}", "/store/meta"]}])]


def prepare(of, s3_image):
    """All that the release's values name is there."""
    folder = of.folder / "secured"
    folder.mkdir()
    certificate, made = certificates(folder), users(folder, permissions(of))
    things = [*nats(made, certificate["server"]), *s3(s3_image), secret("nats-client", certificate["client"]),
              *(secret(f"user-{role}", {"user.creds": made["users"][role]}) for role in ROLES)]
    of.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": things}))
    of.kubectl("wait", "--for=condition=Ready", "pod/nats", "pod/s3", f"--timeout={release.WAIT_SECONDS}s")
    shutil.rmtree(folder)  # keys


def values():
    return {
        "nats": {"url": "tls://nats:4222", "tls": {"secret": "nats-client", "clientCertificate": True},
                 "users": {role: {"credentialsSecret": f"user-{role}", "inboxPrefix": f"_INBOX_{role}"} for role in ROLES}},
        "checkpoints": {"url": f"s3://{BUCKET}/of/mill?endpoint=http://s3:{S3_PORT}&region=us-east-1", "interval": "1s", "credentialsSecret": "s3"},
        "networkPolicy": {"egress": {"restricted": True, "allow": [{"ports": [{"port": S3_PORT, "protocol": "TCP"}]}]}}}
