{{/* The name that all others begin with: short enough that no name or label made of it passes 63 characters. */}}
{{- define "smartlinks.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{/* Labels by which the pods of a component are found: [root, component]. */}}
{{- define "smartlinks.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* All labels of an object: [root, component]. */}}
{{- define "smartlinks.labels" -}}
{{- $root := index . 0 -}}
{{ include "smartlinks.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "smartlinks.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "smartlinks.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "smartlinks.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{/* What all pods have in common: [root, account]. */}}
{{- define "smartlinks.pod" -}}
{{- $root := index . 0 -}}
serviceAccountName: {{ index . 1 }}
automountServiceAccountToken: false
# The cluster would put variables into the containers that look like settings.
enableServiceLinks: false
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  {{- with $root.Values.user }}
  runAsUser: {{ . | int }}
  runAsGroup: {{ . | int }}
  fsGroup: {{ . | int }}
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "smartlinks.container" -}}
image: {{ include "smartlinks.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{/* Where the pods of a component go: [root, component, its values]. */}}
{{- define "smartlinks.placement" -}}
{{- $parts := . -}}
{{- $values := index . 2 -}}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.spread }}
{{- if or .hosts .zones }}
topologySpreadConstraints:
  {{- range $key, $when := dict "kubernetes.io/hostname" .hosts "topology.kubernetes.io/zone" .zones }}
  {{- if $when }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: {{ $when }}
    # Else a node that takes none of these pods, a control plane, counts as one that still waits for its first.
    nodeTaintsPolicy: Honor
    labelSelector:
      matchLabels:
        {{- include "smartlinks.selector" $parts | nindent 8 }}
  {{- end }}
  {{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Settings as variables of a container. */}}
{{- define "smartlinks.settings" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* Annotations of a pod: [root, the component's values, whether there are metrics]. */}}
{{- define "smartlinks.annotations" -}}
{{- $root := index . 0 -}}
{{- $own := dict -}}
{{- if and (index . 2) $root.Values.metrics.annotations -}}
{{- $own = dict "prometheus.io/scrape" "true" "prometheus.io/port" "9090" "prometheus.io/path" "/metrics" -}}
{{- end -}}
{{- with merge (deepCopy (index . 1).podAnnotations) $own -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Where the database's URL is for the migration, key by key. */}}
{{- define "smartlinks.migrationSecret" -}}
{{- toYaml (ternary .Values.database.migrationSecret .Values.database.secret (ne .Values.database.migrationSecret.name "")) -}}
{{- end }}

{{/* How long a stop can take. A server drains calls first and its background work after them, each that long. */}}
{{- define "smartlinks.server.stopSeconds" -}}
{{- add (.Values.server.stopDelaySeconds | int) (mul 2 (.Values.server.drainSeconds | int)) 5 -}}
{{- end }}
{{- define "smartlinks.gateway.stopSeconds" -}}
{{- add (.Values.gateway.stopDelaySeconds | int) (.Values.gateway.drainSeconds | int) 5 -}}
{{- end }}

{{/* Rules of NetworkPolicies that several have. */}}
{{- define "smartlinks.egress.dns" -}}
- ports:
    - { protocol: UDP, port: {{ .Values.networkPolicy.dnsPort | int }} }
    - { protocol: TCP, port: {{ .Values.networkPolicy.dnsPort | int }} }
  {{- with .Values.networkPolicy.dnsTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- define "smartlinks.egress.postgres" -}}
- ports:
    - { protocol: TCP, port: {{ .Values.networkPolicy.postgresPort | int }} }
  {{- with .Values.networkPolicy.postgresTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- define "smartlinks.ingress.metrics" -}}
{{- with .Values.networkPolicy.metricsFrom }}
- ports:
    - { protocol: TCP, port: 9090 }
  from:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end }}
