{{/* A peer: pods of this release, of one component. */}}
{{- define "tributary.peer" -}}
- podSelector:
    matchLabels:
      {{- include "tributary.selector" . | nindent 6 }}
{{- end }}

{{/* Ingress of Prometheus to /metrics; probes come from the node, which policies do not stop. */}}
{{- define "tributary.fromPrometheus" -}}
{{- if .root.Values.networkPolicy.metricsFrom -}}
- from:
    {{- toYaml .root.Values.networkPolicy.metricsFrom | nindent 4 }}
  ports: [{protocol: "TCP", port: {{ int .port }}}]
{{- end }}
{{- end }}

{{- define "tributary.toDns" -}}
- to:
    {{- toYaml .Values.networkPolicy.dnsTo | nindent 4 }}
  ports:
    {{- range .Values.networkPolicy.dnsPorts }}
    - {protocol: "UDP", port: {{ int . }}}
    - {protocol: "TCP", port: {{ int . }}}
    {{- end }}
{{- end }}

{{/* Egress of whoever works for the federation: to its two ports, here or elsewhere. */}}
{{- define "tributary.toFederation" -}}
{{- if eq .Values.mode "federation" -}}
- to:
    {{- include "tributary.peer" (dict "root" . "component" "coordinator") | nindent 4 }}
  ports: [{protocol: "TCP", port: {{ int .Values.coordinator.port }}}]
- to:
    {{- include "tributary.peer" (dict "root" . "component" "blob-store") | nindent 4 }}
  ports: [{protocol: "TCP", port: {{ int .Values.blobStore.port }}}]
{{- else -}}
{{- $ports := dict -}}
{{- range concat (list .Values.federation.coordinator .Values.federation.modelCache) .Values.federation.blobStores -}}
{{- with . -}}{{- $_ := set $ports (regexFind "[0-9]+$" .) true -}}{{- end -}}
{{- end -}}
- ports:
    {{- range $port, $_ := $ports }}
    - {protocol: "TCP", port: {{ int $port }}}
    {{- end }}
  {{- with .Values.networkPolicy.federationTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}
