{{/*
The pod of a service. Takes root, component, key (of the values), ports (container ports beside metrics), env, volumes, mounts, lifecycle,
grace (seconds).
*/}}
{{- define "tributary.podTemplate" -}}
{{- $root := .root -}}
{{- $service := get $root.Values .key -}}
{{- $secret := include "tributary.keysSecret" $root -}}
metadata:
  labels:
    # No version here: a new chart starts no pod anew whose image and configuration are the same.
    {{- include "tributary.selector" . | nindent 4 }}
    {{- with merge (dict) $service.podLabels $root.Values.commonLabels }}
    {{- include "tributary.strings" . | trim | nindent 4 }}
    {{- end }}
  annotations:
    # A change of the configuration starts the pods anew. Keys are not in it: the servers look at their list each second.
    checksum/config: {{ include "tributary.ini" . | sha256sum | quote }}
    {{- with merge (dict) $service.podAnnotations $root.Values.commonAnnotations }}
    {{- include "tributary.strings" . | trim | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "tributary.object" . | quote }}
  automountServiceAccountToken: false
  # Else a Service called tributary-… would put TRIBUTARY_… into the environment, which is where flags are looked for.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ int .grace }}
  securityContext:
    {{- toYaml $root.Values.podSecurityContext | nindent 4 }}
  {{- include "tributary.pullSecrets" $root | nindent 2 }}
  {{- with $service.priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
  {{- with $service.runtimeClassName }}
  runtimeClassName: {{ . | quote }}
  {{- end }}
  {{- with $service.nodeSelector }}
  nodeSelector:
    {{- include "tributary.strings" . | trim | nindent 4 }}
  {{- end }}
  {{- with $service.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $service.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $service.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range . }}
    - {{ toYaml (merge (dict) . (dict "labelSelector" (dict "matchLabels" (include "tributary.selector" $ | fromYaml)))) | nindent 6 | trim }}
    {{- end }}
  {{- end }}
  {{- with $service.initContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ .component | quote }}
      image: {{ include "tributary.image" (dict "root" $root "image" $service.image) | quote }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy | quote }}
      args:
        - "--config"
        - "/etc/tributary/config/service.ini"
        {{- range $service.extraArgs }}
        - {{ . | quote }}
        {{- end }}
      env:
        # In the environment, since images set it there and that wins over the configuration file.
        - {name: "TRIBUTARY_METRICS_ADDRESS", value: {{ printf "0.0.0.0:%d" (int $service.metricsPort) | quote }}}
        {{- with concat (.env | default list) $service.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        {{- range .ports }}
        - {name: {{ .name | quote }}, containerPort: {{ int .port }}, protocol: "TCP"}
        {{- end }}
        - {name: "metrics", containerPort: {{ int $service.metricsPort }}, protocol: "TCP"}
      startupProbe:
        httpGet: {path: "/healthz", port: "metrics"}
        {{- toYaml $root.Values.probes.startup | nindent 8 }}
      livenessProbe:
        httpGet: {path: "/healthz", port: "metrics"}
        {{- toYaml $root.Values.probes.liveness | nindent 8 }}
      readinessProbe:
        httpGet: {path: "/readyz", port: "metrics"}
        {{- toYaml $root.Values.probes.readiness | nindent 8 }}
      {{- with .lifecycle }}
      lifecycle:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      resources:
        {{- toYaml $service.resources | nindent 8 }}
      securityContext:
        {{- toYaml $root.Values.securityContext | nindent 8 }}
      volumeMounts:
        - {name: "config", mountPath: "/etc/tributary/config", readOnly: true}
        {{- if $secret }}
        - {name: "keys", mountPath: "/etc/tributary/keys", readOnly: true}
        {{- end }}
        - {name: "scratch", mountPath: "/tmp"}
        {{- with concat (.mounts | default list) $service.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- with $service.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    - name: "config"
      configMap: {name: {{ include "tributary.object" . | quote }}}
    {{- if $secret }}
    {{- $servers := has .component (list "coordinator" "blob-store") }}
    {{- $own := ternary (printf "site-%s.key" $service.site) (printf "%s.key" .component) (eq .component "trainer") }}
    - {{ include "tributary.keysVolume" (dict "secret" $secret "own" $own "peers" (ternary "peers" "servers" $servers)) | nindent 6 | trim }}
    {{- end }}
    - name: "scratch"
      emptyDir: {sizeLimit: {{ $service.scratch.sizeLimit | quote }}}
    {{- with concat (.volumes | default list) $service.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* A pod's own key, and whom it may know: servers all peers, others the servers. 288 is 0440: the files are root's, and fsGroup's to read. */}}
{{- define "tributary.keysVolume" -}}
name: "keys"
secret:
  secretName: {{ .secret | quote }}
  defaultMode: 288
  items:
    - {key: {{ .own | quote }}, path: "key"}
    - {key: {{ .peers | quote }}, path: "peers"}
{{- end }}

{{- define "tributary.pullSecrets" -}}
{{- with .Values.image.pullSecrets -}}
imagePullSecrets:
{{- range . }}
  - {name: {{ . | quote }}}
{{- end }}
{{- end }}
{{- end }}

{{/* env that takes its value from the pod. */}}
{{- define "tributary.fieldEnv" -}}
- name: {{ .name | quote }}
  valueFrom: {fieldRef: {fieldPath: {{ .path | quote }}}}
{{- end }}
