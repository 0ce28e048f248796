{{/* The configuration file of a service: what the chart knows, and `config` of its values above that. Lists are repeated lines. */}}
{{- define "tributary.ini" -}}
{{- $root := .root -}}
{{- $service := get $root.Values .key -}}
{{- $flags := dict
    "memory-budget" $service.memoryBudget
    "log-level" $root.Values.logLevel
    "log-format" $root.Values.logFormat -}}
{{- if $root.Values.keys.insecure -}}
{{- $_ := set $flags "insecure" "true" -}}
{{- else -}}
{{- $_ := set $flags "key" "/etc/tributary/keys/key" -}}
{{- $_ := set $flags "peers" "/etc/tributary/keys/peers" -}}
{{- end -}}
{{- if eq .component "coordinator" -}}
{{- $_ := set $flags "listen" (printf "tcp://0.0.0.0:%d" (int $service.port)) -}}
{{- $_ := set $flags "state-dir" "/var/lib/tributary" -}}
{{- $_ := set $flags "blob-store" (include "tributary.blobStoreEndpoints" $root | fromJsonArray) -}}
{{- $_ := set $flags "heartbeat" $service.heartbeat -}}
{{- $_ := set $flags "seat-timeout" $service.seatTimeout -}}
{{- $_ := set $flags "lease-timeout" $service.leaseTimeout -}}
{{- $_ := set $flags "jobs-at-once" (int $service.jobsAtOnce) -}}
{{- else if eq .component "blob-store" -}}
{{- $_ := set $flags "listen" (printf "tcp://0.0.0.0:%d" (int $service.port)) -}}
{{- $_ := set $flags "data-dir" "/var/lib/tributary" -}}
{{- $_ := set $flags "quota" (include "tributary.quota" $root) -}}
{{- $_ := set $flags "worker-threads" $service.workerThreads -}}
{{- $_ := set $flags "shards" $service.shards -}}
{{- if $service.s3.enabled -}}
{{- $_ := set $flags "s3-endpoint" $service.s3.endpoint -}}
{{- $_ := set $flags "s3-bucket" $service.s3.bucket -}}
{{- $_ := set $flags "s3-region" $service.s3.region -}}
{{- $_ := set $flags "s3-path-style" $service.s3.pathStyle -}}
{{- $_ := set $flags "s3-credentials-file" "/etc/tributary/s3/credentials" -}}
{{- end -}}
{{- else -}}
{{- $_ := set $flags "coordinator" (include "tributary.coordinatorEndpoint" $root) -}}
{{- $_ := set $flags "connections" $service.connections -}}
{{- /* Nobody else reads the kernel's mark in a pod: phases get peaks of their own. */ -}}
{{- $_ := set $flags "own-peaks" "true" -}}
{{- if eq $root.Values.mode "trainer-site" -}}
{{- $_ := set $flags "blob-store" $root.Values.federation.blobStores -}}
{{- with $root.Values.federation.modelCache -}}{{- $_ := set $flags "model-cache" . -}}{{- end -}}
{{- /* The federation cannot scrape these trainers: what they measure rides on their heartbeats, unless the site scrapes them itself. */ -}}
{{- $_ := set $flags "relay-metrics" (not $root.Values.prometheus.podMonitor.enabled) -}}
{{- end -}}
{{- if eq .component "trainer" -}}
{{- $_ := set $flags "site" $service.site -}}
{{- $_ := set $flags "work-dir" "/var/lib/tributary" -}}
{{- $_ := set $flags "train-threads" $service.trainThreads -}}
{{- $data := list -}}
{{- range $service.data -}}{{- $data = append $data (printf "%s=/data/%s" .name .name) -}}{{- end -}}
{{- with $data -}}{{- $_ := set $flags "data" . -}}{{- end -}}
{{- $offers := list -}}
{{- range $service.offers -}}{{- $offers = append $offers (printf "%s=/offers/%s" .name .name) -}}{{- end -}}
{{- with $offers -}}{{- $_ := set $flags "offer" . -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- range $flag, $value := $service.config -}}{{- $_ := set $flags $flag $value -}}{{- end -}}
{{- range $flag, $value := $flags -}}
{{- if kindIs "slice" $value -}}
{{- range $value }}
{{ $flag }} = {{ . }}
{{- end -}}
{{- else if kindIs "float64" $value }}
{{ $flag }} = {{ int64 $value }}
{{- else }}
{{ $flag }} = {{ $value }}
{{- end -}}
{{- end -}}
{{- end }}
