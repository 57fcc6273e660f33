{{/* Names: a worker is called as its pod, and a worker's name has no dots. */}}
{{- define "millrace.fullname" -}}
{{- $chart := default .Chart.Name .Values.nameOverride -}}
{{- $name := ternary .Release.Name (printf "%s-%s" .Release.Name $chart) (contains $chart .Release.Name) -}}
{{- default $name .Values.fullnameOverride | replace "." "-" | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "millrace.serviceAccountName" -}}
{{- default (include "millrace.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{/* What a selector selects by; it must never change. Takes (list $ "component"). */}}
{{- define "millrace.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "millrace.labels" -}}
{{- $root := index . 0 -}}
{{ include "millrace.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/part-of: millrace
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "millrace.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ printf "%s@%s" .repository .digest }}
{{- else -}}
{{ printf "%s:%s" .repository (default $.Chart.AppVersion .tag) }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "millrace.natsUrl" -}}
{{- if .Values.nats.enabled -}}
nats://{{ include "millrace.fullname" . }}-nats:4222
{{- else -}}
{{ .Values.nats.url }}
{{- end -}}
{{- end -}}

{{/* What only all values together tell. Each message names the key. */}}
{{- define "millrace.check" -}}
{{- $nats := .Values.nats -}}
{{- if and (not $nats.enabled) (not $nats.url) (not $nats.urlSecret.name) -}}
{{- fail "nats.url: there is none — Millrace keeps everything in a NATS with JetStream — set nats.url or nats.urlSecret.name, or nats.enabled for a try" -}}
{{- end -}}
{{- if and $nats.enabled (or $nats.url $nats.urlSecret.name) -}}
{{- fail "nats.url: there are two — nats.enabled starts a nats-server of the chart's own, and the address names another — set one of them" -}}
{{- end -}}
{{- if and $nats.enabled (ne (int $nats.replicas) 1) -}}
{{- fail "nats.replicas: must be 1 — nats.enabled starts one nats-server, which can hold one copy — take a NATS of three for more" -}}
{{- end -}}
{{- if and $nats.tls.clientCertificate (not $nats.tls.secret) -}}
{{- fail "nats.tls.clientCertificate: there is no certificate — it is read from a secret — set nats.tls.secret" -}}
{{- end -}}
{{- if and (gt (int $nats.replicas) 1) (lt (include "millrace.seconds" .Values.coordinator.leaseTtl | float64) 15.0) -}}
{{- fail "coordinator.leaseTtl: is too short for nats.replicas — a stream's next leader is found within 4 to 9 s — set 15s or more" -}}
{{- end -}}
{{- $scaling := .Values.workers.autoscaling -}}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) -}}
{{- fail "workers.autoscaling.minReplicas: is more than maxReplicas — nothing lies between them — set minReplicas to at most maxReplicas" -}}
{{- end -}}
{{- if and $scaling.enabled (eq $scaling.kind "keda") (not $scaling.keda.serverAddress) -}}
{{- fail "workers.autoscaling.keda.serverAddress: there is none — KEDA asks a Prometheus for the metric — set its address, or workers.autoscaling.kind: hpa" -}}
{{- end -}}
{{- if and .Values.image.digest .Values.image.tag -}}
{{- fail "image.digest: there is a tag, too — only one of them can say what runs — set one of image.digest and image.tag" -}}
{{- end -}}
{{- end -}}

{{/* Of 500ms, 15s, 2m. */}}
{{- define "millrace.seconds" -}}
{{- $number := regexFind "^[0-9]+" . | float64 -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- if eq $unit "ms" }}{{ divf $number 1000 }}{{ else if eq $unit "m" }}{{ mulf $number 60 }}{{ else }}{{ $number }}{{ end -}}
{{- end -}}

{{- define "millrace.mebibytes" -}}
{{- $number := regexFind "^[0-9]+" . | int64 -}}
{{- if hasSuffix "Gi" . }}{{ mul $number 1024 }}{{ else }}{{ $number }}{{ end -}}
{{- end -}}

{{/* --memory: the rest of the limit is for code in flight, buffers of the client and RocksDB, and the heap's holes. */}}
{{- define "millrace.memory" -}}
{{- if .Values.workers.memory -}}
{{ .Values.workers.memory }}
{{- else -}}
{{- $limit := include "millrace.mebibytes" .Values.workers.resources.limits.memory | int64 -}}
{{- $memory := div (mul (sub $limit 128) 3) 4 -}}
{{- if lt $memory 64 -}}
{{- fail (printf "workers.resources.limits.memory: %s is too little — a worker needs 128Mi and a third more than its state — set 256Mi or more" .Values.workers.resources.limits.memory) -}}
{{- end -}}
{{ $memory }}MiB
{{- end -}}
{{- end -}}

{{/* The lines of a config file that say how to reach NATS. Takes (list $ "worker"). */}}
{{- define "millrace.connection" -}}
{{- $nats := (index . 0).Values.nats -}}
{{- $user := index $nats.users (index . 1) -}}
{{- with include "millrace.natsUrl" (index . 0) }}
nats = {{ . }}
{{- end }}
inbox-prefix = {{ $user.inboxPrefix }}
{{- if $user.credentialsSecret }}
creds = /etc/millrace/user/{{ $user.key }}
{{- end }}
{{- if $nats.tls.secret }}
tls-ca = /etc/millrace/tls/{{ $nats.tls.caKey }}
{{- if $nats.tls.clientCertificate }}
tls-cert = /etc/millrace/tls/tls.crt
tls-key = /etc/millrace/tls/tls.key
{{- end }}
{{- end }}
{{- end -}}

{{- define "millrace.environment" -}}
- name: MILLRACE_CONFIG
  value: /etc/millrace/config/{{ index . 1 }}.conf
# Of what is made, also by commands in these pods.
- name: MILLRACE_REPLICAS
  value: {{ (index . 0).Values.nats.replicas | quote }}
{{- with (index . 0).Values.nats.urlSecret }}
{{- if .name }}
- name: MILLRACE_NATS
  valueFrom: { secretKeyRef: { name: {{ .name }}, key: {{ .key }} } }
{{- end }}
{{- end }}
{{- end -}}

{{- define "millrace.mounts" -}}
{{- $nats := (index . 0).Values.nats -}}
- { name: config, mountPath: /etc/millrace/config, readOnly: true }
{{- if (index $nats.users (index . 1)).credentialsSecret }}
- { name: user, mountPath: /etc/millrace/user, readOnly: true }
{{- end }}
{{- if $nats.tls.secret }}
- { name: tls, mountPath: /etc/millrace/tls, readOnly: true }
{{- end }}
- { name: tmp, mountPath: /tmp }
{{- end -}}

{{- define "millrace.volumes" -}}
{{- $root := index . 0 -}}
{{- $user := index $root.Values.nats.users (index . 1) -}}
- name: config
  configMap: { name: {{ include "millrace.fullname" $root }}-config }
{{- if $user.credentialsSecret }}
- name: user
  secret:
    secretName: {{ $user.credentialsSecret }}
    defaultMode: 0440
    items: [{ key: {{ $user.key }}, path: {{ $user.key }} }]
{{- end }}
{{- with $root.Values.nats.tls.secret }}
- name: tls
  secret: { secretName: {{ . }}, defaultMode: 0440 }
{{- end }}
- name: tmp
  emptyDir: { sizeLimit: 64Mi }
{{- end -}}

{{- define "millrace.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{/* What the pods of all components say. A service called millrace would otherwise put MILLRACE_PORT and others into every pod, and
     flags are read from there. */}}
{{- define "millrace.podCommon" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
serviceAccountName: {{ include "millrace.serviceAccountName" . }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- end -}}

{{/* Takes (list $ "component" $values). */}}
{{- define "millrace.placement" -}}
{{- $selector := include "millrace.selector" . -}}
{{- $values := index . 2 -}}
{{- $spread := $values.spread -}}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- if $values.affinity }}
affinity:
  {{- toYaml $values.affinity | nindent 2 }}
{{- else if eq $spread.hosts "hard" }}
affinity:
  podAntiAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- $selector | nindent 12 }}
{{- else if eq $spread.hosts "soft" }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- $selector | nindent 14 }}
{{- end }}
{{- if ne $spread.zones "off" }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: {{ ternary "DoNotSchedule" "ScheduleAnyway" (eq $spread.zones "hard") }}
    labelSelector:
      matchLabels:
        {{- $selector | nindent 8 }}
{{- end }}
{{- end -}}

{{/* Liveness is the process alone: a NATS that is away must restart nobody. Readiness is its work: a coordinator that sees who leads, a
     worker that has its lease. */}}
{{- define "millrace.probes" -}}
livenessProbe:
  httpGet: { path: /healthz, port: http }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /readyz, port: http }
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
{{- end -}}

{{/* The greatest wish of any coordinator in two minutes: while another one comes to lead, that of the one before stands. */}}
{{- define "millrace.workersWanted" -}}
max(max_over_time(millrace_workers_wanted{namespace="{{ .Release.Namespace }}",pod=~"{{ include "millrace.fullname" . }}-coordinator-.+"}[2m]))
{{- end -}}

{{/* The coordinator is patient and takes its steps by itself. Of those that go at once, at most half or one, all have given their partitions
     away before more go; 1800 s is the longest period that Kubernetes takes. */}}
{{- define "millrace.scalingBehavior" -}}
{{- $period := min 1800 (add .Values.workers.drainTimeoutSeconds 15) -}}
scaleUp:
  stabilizationWindowSeconds: 0
  policies:
    - { type: Percent, value: 100, periodSeconds: 15 }
    - { type: Pods, value: 2, periodSeconds: 15 }
  selectPolicy: Max
scaleDown:
  stabilizationWindowSeconds: 60
  policies:
    - { type: Percent, value: 50, periodSeconds: {{ $period }} }
    - { type: Pods, value: 1, periodSeconds: {{ $period }} }
  selectPolicy: Max
{{- end -}}
