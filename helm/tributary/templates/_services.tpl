{{/* A claim of a StatefulSet. */}}
{{- define "tributary.claim" -}}
metadata:
  name: {{ .name | quote }}
  labels:
    {{- include "tributary.selector" . | nindent 4 }}
  {{- with .persistence.annotations }}
  annotations:
    {{- include "tributary.strings" . | trim | nindent 4 }}
  {{- end }}
spec:
  accessModes: [{{ .persistence.accessMode | default "ReadWriteOnce" | quote }}]
  {{- with .persistence.storageClass }}
  storageClassName: {{ . | quote }}
  {{- end }}
  resources:
    requests: {storage: {{ .persistence.size | quote }}}
{{- end }}

{{/* How a Service is reached. */}}
{{- define "tributary.serviceSpec" -}}
type: {{ .service.type | quote }}
{{- if eq .service.type "LoadBalancer" }}
{{- with .service.loadBalancerClass }}
loadBalancerClass: {{ . | quote }}
{{- end }}
{{- with .service.loadBalancerSourceRanges }}
loadBalancerSourceRanges:
  {{- range . }}
  - {{ . | quote }}
  {{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The headless Service that gives pods their names; also where metrics are found. Pods are named before they are ready: whoever dials waits. */}}
{{- define "tributary.podsService" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "tributary.metadata" (merge (dict "labels" (dict "tributary.dev/headless" "true")) .) | nindent 2 }}
spec:
  clusterIP: "None"
  publishNotReadyAddresses: true
  selector:
    {{- include "tributary.selector" . | nindent 4 }}
  ports:
    {{- range $name, $port := .ports }}
    - {name: {{ $name | quote }}, port: {{ int $port }}, targetPort: {{ $name | quote }}, protocol: "TCP"}
    {{- end }}
{{- end }}

{{/* How fast replicas come and go: one less a minute, after `down` seconds of less work. */}}
{{- define "tributary.behavior" -}}
scaleUp:
  stabilizationWindowSeconds: 0
  policies: [{type: "Pods", value: {{ .up }}, periodSeconds: 15}]
scaleDown:
  stabilizationWindowSeconds: {{ int .down }}
  policies: [{type: "Pods", value: 1, periodSeconds: 60}]
{{- end }}
