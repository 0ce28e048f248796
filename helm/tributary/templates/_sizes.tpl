{{/* Bytes of a size as Tributary writes it (64MiB, 1GB) or as Kubernetes does (128Mi, 2Gi, 1.5G); no sign, no milli. */}}
{{- define "tributary.bytes" -}}
{{- $text := toString . -}}
{{- $number := regexFind "^[0-9.]+" $text -}}
{{- $unit := trimPrefix $number $text | trimSuffix "B" | upper -}}
{{- $factors := dict "" 1.0 "K" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "KI" 1024.0 "MI" 1048576.0 "GI" 1073741824.0 "TI" 1099511627776.0 -}}
{{- if not (hasKey $factors $unit) -}}{{- fail (printf "'%s' is no size: write 64MiB or 128Mi" $text) -}}{{- end -}}
{{- printf "%.0f" (mulf (float64 $number) (get $factors $unit)) -}}
{{- end }}

{{/* What objects may take of a shard's disk: as told, or nine tenths of the claim. */}}
{{- define "tributary.quota" -}}
{{- $blob := .Values.blobStore -}}
{{- if $blob.quota -}}
{{- include "tributary.bytes" $blob.quota -}}
{{- else -}}
{{- printf "%.0f" (mulf 0.9 (float64 (include "tributary.bytes" $blob.persistence.size))) -}}
{{- end -}}
{{- end }}

{{/* The class that the cluster gives a claim which names none: annotated as default, of several the newest; empty: none, or no cluster to ask. */}}
{{- define "tributary.defaultClass" -}}
{{- $name := "" -}}
{{- $made := "" -}}
{{- range (lookup "storage.k8s.io/v1" "StorageClass" "" "" | default dict).items -}}
{{- $says := .metadata.annotations | default dict -}}
{{- $default := or (eq (get $says "storageclass.kubernetes.io/is-default-class") "true") (eq (get $says "storageclass.beta.kubernetes.io/is-default-class") "true") -}}
{{- $time := .metadata.creationTimestamp | default "" -}}
{{- if and $default (or (not $name) (gt $time $made) (and (eq $time $made) (lt .metadata.name $name))) -}}
{{- $name = .metadata.name -}}
{{- $made = $time -}}
{{- end -}}
{{- end -}}
{{- $name -}}
{{- end }}
