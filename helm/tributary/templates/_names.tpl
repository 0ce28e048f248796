{{/* Names, labels, images. */}}

{{- define "tributary.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "tributary.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "tributary.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "tributary.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* The services of this release: component -> key of its values, as JSON. */}}
{{- define "tributary.components" -}}
{{- $all := dict -}}
{{- if eq .Values.mode "federation" -}}
{{- $all = dict "coordinator" "coordinator" "blob-store" "blobStore" "aggregator" "aggregator" -}}
{{- if .Values.trainer.enabled -}}{{- $_ := set $all "trainer" "trainer" -}}{{- end -}}
{{- else -}}
{{- $all = dict "trainer" "trainer" -}}
{{- end -}}
{{- toJson $all -}}
{{- end }}

{{- define "tributary.selector" -}}
app.kubernetes.io/name: {{ include "tributary.name" .root | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component | quote }}
{{- end }}

{{- define "tributary.labels" -}}
{{ include "tributary.selector" . }}
app.kubernetes.io/part-of: "tributary"
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | quote }}
{{- with .root.Values.commonLabels }}
{{ include "tributary.strings" . }}
{{- end }}
{{- end }}

{{/* A map of text to text, every value quoted: a label `y` or `on` is no boolean then. */}}
{{- define "tributary.strings" -}}
{{- range $key, $value := . }}
{{ $key | quote }}: {{ $value | toString | quote }}
{{- end }}
{{- end }}

{{/* metadata of an object. name: after the prefix; empty: the prefix alone. */}}
{{- define "tributary.metadata" -}}
name: {{ include "tributary.object" . | quote }}
namespace: {{ .root.Release.Namespace | quote }}
labels:
  {{- include "tributary.labels" . | trim | nindent 2 }}
  {{- with .labels }}
  {{- include "tributary.strings" . | trim | nindent 2 }}
  {{- end }}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- include "tributary.strings" . | trim | nindent 2 }}
{{- end }}
{{- end }}

{{- define "tributary.object" -}}
{{- $name := .name | default .component -}}
{{- printf "%s-%s" (include "tributary.fullname" .root) $name | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "tributary.image" -}}
{{- $image := .image -}}
{{- $common := .root.Values.image -}}
{{- $parts := list -}}
{{- range list $common.registry $common.repositoryPrefix $image.repository -}}
{{- with . -}}{{- $parts = append $parts (trimAll "/" .) -}}{{- end -}}
{{- end -}}
{{- $repository := join "/" $parts -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository ($image.tag | default $common.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end }}

{{- define "tributary.keysSecret" -}}
{{- if .Values.keys.insecure -}}
{{- else if .Values.keys.generate.enabled -}}
{{- printf "%s-keys" (include "tributary.fullname" .) -}}
{{- else -}}
{{- .Values.keys.existingSecret -}}
{{- end -}}
{{- end }}

{{/* Endpoints as the pods of this release dial them. */}}
{{- define "tributary.coordinatorEndpoint" -}}
{{- if eq .Values.mode "trainer-site" -}}
{{- .Values.federation.coordinator -}}
{{- else -}}
{{- printf "tcp://%s-coordinator.%s.svc:%d" (include "tributary.fullname" .) .Release.Namespace (int .Values.coordinator.port) -}}
{{- end -}}
{{- end }}

{{- define "tributary.blobStoreEndpoints" -}}
{{- $endpoints := list -}}
{{- if eq .Values.mode "trainer-site" -}}
{{- $endpoints = .Values.federation.blobStores -}}
{{- else -}}
{{- $name := printf "%s-blob-store" (include "tributary.fullname" .) -}}
{{- range $shard := until (int .Values.blobStore.shards) -}}
{{- $endpoints = append $endpoints (printf "tcp://%s-%d.%s.%s.svc:%d" $name $shard $name $.Release.Namespace (int $.Values.blobStore.port)) -}}
{{- end -}}
{{- end -}}
{{- toJson $endpoints -}}
{{- end }}
