# Before SIGTERM: wait while the trainer has a task, at most SECONDS. SIGTERM then hands its seat back. Words: PORT of its metrics, SECONDS.
# In bash alone, since the image has no HTTP client. Whoever does not answer, or does not tell, is not waited for.
end=$((SECONDS + $2))
while [ "$SECONDS" -lt "$end" ]; do
  exec 3<> "/dev/tcp/127.0.0.1/$1" || exit 0
  printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3
  running=no
  while IFS= read -r -t 5 line <&3; do
    line="${line%$'\r'}"
    case "$line" in
      tributary_tasks_running*' 0') ;;
      tributary_tasks_running*) running=yes ;;
    esac
  done
  exec 3<&-
  [ "$running" = yes ] || exit 0
  sleep 1
done
