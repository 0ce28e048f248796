# helm test: the coordinator answers; then, with `job`, a tiny synthetic job goes through all services. Words: job|ping, SECONDS.
set -eu
end=$(($(date +%s) + $2))
until tributary ping "$TRIBUTARY_COORDINATOR"; do
  if [ "$(date +%s)" -ge "$end" ]; then
    echo "no answer from $TRIBUTARY_COORDINATOR within $2 s: look at its pod, and at NetworkPolicies between" >&2
    exit 1
  fi
  sleep 2
done
[ "$1" = job ] || exit 0

job=$(tributary submit /etc/tributary/test/job.yaml --set "name=helm-test-$(date +%s)")
echo "submitted $job"
while :; do
  status=$(tributary status "$job")
  case $(echo "$status" | sed -n 's/^state: *//p') in
    completed) break ;;
    failed | stopped) echo "$status" >&2; exit 1 ;;
  esac
  if [ "$(date +%s)" -ge "$end" ]; then
    echo "$status" >&2
    echo "the job is not done within $2 s: is a trainer there, and another job before this one?" >&2
    tributary stop "$job" || true
    exit 1
  fi
  sleep 1
done
echo "$status"
