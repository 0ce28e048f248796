{{/* The commands that make the keys and the Secret. */}}
{{- define "tributary.keysCommand" -}}
{{- $site := .Values.trainer.site -}}
{{- $secret := .Values.keys.existingSecret | default "tributary-keys" -}}
{{- if eq .Values.mode "trainer-site" -}}
Ask the federation's operator for the site's key, made by `tributary keygen keys --site {{ $site }}`, and: kubectl create secret generic {{ $secret }} --namespace {{ .Release.Namespace }} --from-file=servers=keys/servers --from-file=site-{{ $site }}.key=keys/sites/{{ $site }}/key.
{{- else -}}
Make keys: tributary keygen keys --site {{ $site }} && kubectl create secret generic {{ $secret }} --namespace {{ .Release.Namespace }} {{ include "tributary.keysFiles" . }}.
{{- end -}}
{{- end }}

{{- define "tributary.keysFiles" -}}
--from-file=peers=keys/peers --from-file=servers=keys/servers
{{- range list "coordinator" "blob-store" "aggregator" "operator" }} --from-file={{ . }}.key=keys/{{ . }}/key{{ end -}}
{{- if .Values.trainer.enabled }} --from-file=site-{{ .Values.trainer.site }}.key=keys/sites/{{ .Values.trainer.site }}/key{{ end -}}
{{- end }}
